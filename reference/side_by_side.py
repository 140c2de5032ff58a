"""Times `basereward` and the transformers peers in one run, taking turns, and prints the ratios.

Taking turns matters on shared machines: both sides see the same neighbors. The arguments are those of peers.py, and
the binary scores the very same row. A ratio above one means that basereward is faster.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import torch

from peers import arguments_parser, best_batch_size, check_agreement, peers, setup, timed


def our_report(binary: Path, arguments: argparse.Namespace, responses: int) -> dict:
    """What the binary measures on the peers' own row, after a warm-up; the only place that knows its options."""
    source = ["--preset", f"qwen2.5-vl-{arguments.random}"] if arguments.random else ["--model", str(arguments.model)]
    processor = arguments.inputs / "processor" if arguments.random else arguments.model
    command = [str(binary), "bench", "score", *source, "--processor", str(processor)]
    command += ["--rows", str(arguments.inputs / "rows.jsonl"), "--responses", str(responses)]
    command += ["--dtype", arguments.dtype, "--threads", str(arguments.threads), "--repeats", "1", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
    return json.loads(finished.stdout)


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the release build of basereward")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.inputs = arguments.inputs or Path(temporary)
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    seconds: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    with torch.inference_mode():
        model, inputs, report = setup(arguments)
        sizes = [size for size in arguments.batch_sizes if size <= arguments.responses]
        batch_size, report["batch_size_secs"] = best_batch_size(model, inputs, sizes)
        report["batch_size"] = batch_size
        for _ in range(arguments.repeats):
            for name, responses in [("ours", arguments.responses), ("ours_one", 1)]:
                ours = our_report(arguments.binary, arguments, responses)
                expected = sum(report["tokens"][:responses])
                if ours["tokens"] != expected:
                    raise RuntimeError(f"basereward scored {ours['tokens']} tokens, the peers {expected}")
                seconds.setdefault(name, []).append(ours["median_secs"])
                report[name] = ours
            for name, peer in peers(model, inputs, batch_size).items():
                elapsed, rewards = timed(peer)
                seconds.setdefault(name, []).append(elapsed)
                scores[name] = rewards.tolist()
    report["largest_disagreement"] = check_agreement(scores, arguments.dtype)
    report["secs"] = seconds
    median = {name: statistics.median(times) for name, times in seconds.items()}
    report["median_secs"] = median
    report["ratios"] = {
        "batched": median["batched"] / median["ours"],
        "careful": median["careful"] / median["ours"],
        "one": median["one"] / median["ours_one"],
    }
    for name, ratio in report["ratios"].items():
        ours = median["ours_one" if name == "one" else "ours"]
        print(f"{name:8} {median[name]:8.3f} s   basereward {ours:8.3f} s   ratio {ratio:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
