"""Times training in `basereward` and in the transformers peers in one run, taking turns, and prints the ratios.

Taking turns matters on shared machines: both sides see the same neighbors. The arguments are those of train_peers.py,
which finds the fastest configuration of each peer first; that one is then run again beside the binary. bf16 has two
peers. A ratio of speed above one means that basereward is faster, a share of memory below one that it needs less.
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from train_peers import arguments_parser, facts, measure_apart, search

# The types that basereward is asked for, and the peers of each.
PEERS = {"f32": ["f32"], "bf16": ["bf16", "bf16-autocast"]}
OURS = {"basereward": [], "basereward, recomputing": ["--recompute"]}


def our_report(binary: Path, arguments: argparse.Namespace, dtype: str, options: list[str]) -> dict:
    """What the binary measures on pairs of the same kind; the only place that knows its options."""
    command = [str(binary), "bench", "train", str(arguments.model), "--pairs", str(arguments.pairs)]
    command += ["--image-size", str(arguments.image_size), "--words", str(arguments.words), "--dtype", dtype, "--json"]
    finished = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RuntimeError(f"`{' '.join([*command, *options])}` failed: {finished.stderr.strip()}")
    return json.loads(finished.stdout)


def take_turns(arguments: argparse.Namespace, dtype: str, best: dict[str, dict]) -> dict[str, list[dict]]:
    """The reports of every round: ours in both ways, and each peer in its fastest configuration."""
    reports: dict[str, list[dict]] = {}
    for _ in range(arguments.rounds):
        for name, options in OURS.items():
            reports.setdefault(name, []).append(our_report(arguments.binary, arguments, dtype, options))
        for name, found in best.items():
            configuration = {key: found[key] for key in ("type", "micro_batch", "checkpointing", "optimizer")}
            report = measure_apart(arguments, **configuration)
            if report is None:
                raise RuntimeError(f"the fastest configuration of {name} was killed the second time: {configuration}")
            reports.setdefault(name, []).append(report)
    return reports


def summarize(reports: list[dict]) -> dict[str, float]:
    """The median speed of the rounds, and the largest peak of memory."""
    return {
        "pairs_per_second": statistics.median(report["pairs_per_second"] for report in reports),
        "step_seconds": statistics.median(report["step_seconds"] for report in reports),
        "peak_resident_bytes": max(report["peak_resident_bytes"] for report in reports),
    }


def compare(dtype: str, summaries: dict[str, dict[str, float]]) -> list[dict]:
    """Every way of ours beside every peer of the type."""
    return [
        {
            "dtype": dtype,
            "ours": ours,
            "peer": peer,
            "speed_ratio": summaries[ours]["pairs_per_second"] / summaries[peer]["pairs_per_second"],
            "memory_share": summaries[ours]["peak_resident_bytes"] / summaries[peer]["peak_resident_bytes"],
        }
        for peer in PEERS[dtype]
        for ours in OURS
    ]


def print_table(report: dict) -> None:
    print(f"\n{'dtype':6} {'':26} {'pairs/s':>9} {'step':>9} {'peak':>9}")
    for dtype, summaries in report["summaries"].items():
        for name, summary in summaries.items():
            peer = report["best"][dtype].get(name)
            how = f", micro-batch {peer['micro_batch']}, checkpointing {peer['checkpointing']}" if peer else ""
            print(
                f"{dtype:6} {name:26} {summary['pairs_per_second']:9.3f} {summary['step_seconds']:7.2f} s "
                f"{summary['peak_resident_bytes'] / 1e9:6.2f} GB{how}"
            )
    print(f"\n{'dtype':6} {'ours':26} {'beside':14} {'speed':>7} {'memory':>7}")
    for row in report["ratios"]:
        print(
            f"{row['dtype']:6} {row['ours']:26} {row['peer']:14} {row['speed_ratio']:7.2f} {row['memory_share']:7.2f}"
        )


def main() -> None:
    parser = arguments_parser(__doc__)
    parser.add_argument("--binary", type=Path, required=True, help="the release build of basereward")
    parser.add_argument("--dtypes", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    report = facts(arguments) | {"best": {}, "searched": {}, "rounds": {}, "summaries": {}, "ratios": []}
    for dtype in arguments.dtypes:
        searched = {name: search(arguments, name) for name in PEERS[dtype]}
        best = {name: reports[0] for name, reports in searched.items()}
        rounds = take_turns(arguments, dtype, best)
        report["searched"][dtype], report["best"][dtype], report["rounds"][dtype] = searched, best, rounds
        report["summaries"][dtype] = {name: summarize(reports) for name, reports in rounds.items()}
        report["ratios"] += compare(dtype, report["summaries"][dtype])
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    print_table(report)


if __name__ == "__main__":
    main()
