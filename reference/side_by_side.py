"""Times `basereward` and the transformers peers in one run, taking turns, and prints the ratios.

Taking turns matters on shared machines: both sides see the same neighbors. The arguments are those of peers.py, and
the binary gets the same shape, image size and answer lengths. A ratio above one means that basereward is faster.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

import torch

from peers import arguments_parser, best_batch_size, check_agreement, peers, setup, timed


def our_seconds(binary: Path, arguments: argparse.Namespace, responses: int) -> float:
    """Median seconds of one call of the binary, which warms up by itself; the only place that knows its options."""
    source = ["--preset", f"qwen2.5-vl-{arguments.random}"] if arguments.random else ["--model", str(arguments.model)]
    command = [str(binary), "bench", "score", *source]
    command += ["--dtype", arguments.dtype, "--threads", str(arguments.threads)]
    command += ["--image-size", str(arguments.image_size), "--words", arguments.words]
    command += ["--responses", str(responses), "--repeats", "1", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
    return json.loads(finished.stdout)["median_secs"]


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the release build of basereward")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    with torch.inference_mode():
        model, inputs, report = setup(arguments)
        sizes = [size for size in arguments.batch_sizes if size <= arguments.responses]
        batch_size, report["batch_size_secs"] = best_batch_size(model, inputs, sizes)
        report["batch_size"] = batch_size
        for _ in range(arguments.repeats):
            for name, responses in [("ours", arguments.responses), ("ours_one", 1)]:
                seconds.setdefault(name, []).append(our_seconds(arguments.binary, arguments, responses))
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
