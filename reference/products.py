"""Measures PyTorch's matrix products: the yardstick for the engine's own product kernels.

Each product is `F.linear(x [M, K], weight [N, K]) -> [M, N]` without bias, in bf16 and in f32.
The printed figure is GFLOP/s (2*M*K*N over the median time). It measures PyTorch only; the engine's
figures come from `basereward bench`.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

# (M, K, N): rows of activations, input features, output features. The MLP of the 3B language model with a
# long, a short and an odd number of rows, and the MLP of the vision tower.
SHAPES = [(1024, 2048, 11008), (256, 2048, 11008), (1024, 1280, 3420), (420, 2048, 11008)]


def time_product(m: int, k: int, n: int, dtype: torch.dtype, repeats: int) -> float:
    """Median seconds of one product; the first runs warm up caches and oneDNN's primitive cache."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(m, k, generator=generator).to(dtype)
    weight = torch.randn(n, k, generator=generator).to(dtype)
    times = []
    for repeat in range(repeats + 3):
        start = time.perf_counter()
        F.linear(x, weight)
        if repeat >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rows = []
    with torch.inference_mode():
        for dtype in (torch.bfloat16, torch.float32):
            for m, k, n in SHAPES:
                seconds = time_product(m, k, n, dtype, arguments.repeats)
                name = str(dtype).removeprefix("torch.")
                gflops = 2 * m * k * n / seconds / 1e9
                rows.append({"dtype": name, "m": m, "k": k, "n": n, "median_secs": seconds, "gflops": gflops})
                print(f"{name:9} {m:5} x {k:5} x {n:5}  {seconds * 1e3:8.2f} ms  {gflops:8.1f} GFLOP/s", flush=True)

    if arguments.json:
        report = {
            "torch": torch.__version__,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "machine": platform.machine(),
            "threads": arguments.threads,
            "repeats": arguments.repeats,
            "products": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
