#!/usr/bin/env python3
"""Measures kernels and training steps, and writes their tables into docs/performance.md.

    cargo build --release
    python3 scripts/bench-results.py                   # --device NAME measures another device

Every step starts from an empty shader cache, so that its first one is a new user's. Everything is measured
--rounds times in turn, and the least median counts, since a shared host slows some of them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

GROUPS = ["gemm", "conv", "norm", "pool", "optim"]
STEPS = [("lenet5", 64), ("cifar_cnn", 64), ("resnet18_cifar", 32)]


def bench(program, device, arguments):
    """What `tilewright bench` says of one group or step, its shader caches empty."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "MESA_SHADER_CACHE_DIR": cache, "XDG_CACHE_HOME": cache}
        command = [program, "bench", *arguments, "--device", device, "--json"]
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--program", default=str(ROOT / "target" / "release" / "tilewright"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    best, peaks, best_steps = {}, [], {}
    for _ in range(options.rounds):
        for group in GROUPS:
            result = bench(options.program, options.device, [group])
            peaks.append(result["peak"])
            for kernel in result["kernels"]:
                known = best.setdefault(kernel["name"], kernel)
                best[kernel["name"]] = min(known, kernel, key=lambda measured: measured["ms"])
        for model, batch in STEPS:
            step = bench(options.program, options.device, ["step", model, "--batch", str(batch)])
            known = best_steps.setdefault(f"{model} batch {batch}", step)
            for figure in ("ms_per_step", "first_step_ms"):
                known[figure] = min(known[figure], step[figure])
            known["images_per_second"] = max(known["images_per_second"], step["images_per_second"])
    kernels = []
    for name, kernel in best.items():
        share = f"{100 * kernel['share_of_peak']:.0f} %"
        kernels.append([name, f"{kernel['ms']:.3f}", f"{kernel['gflops']:.1f}", f"{kernel['gbs']:.2f}", share])
    steps = []
    for name, step in best_steps.items():
        memory = f"{step['peak_bytes'] / 2**20:.1f} MiB"
        numbers = [f"{step['images_per_second']:.1f}", f"{step['ms_per_step']:.2f}", f"{step['first_step_ms']:.0f}"]
        steps.append([name, *numbers, memory])

    flops = sorted(peak["gflops"] for peak in peaks)
    bandwidth = sorted(peak["gbs"] for peak in peaks)
    measured = "\n\n".join([
        f"{result['device']}. Measured peak: {flops[0]:.0f} to {flops[-1]:.0f} GFLOP/s, "
        f"{bandwidth[0]:.1f} to {bandwidth[-1]:.1f} GB/s.",
        table(["kernel", "ms", "GFLOP/s", "GB/s", "share of peak"], kernels),
        table(["step", "images/s", "ms per step", "first step, cold cache, ms", "device memory"], steps),
    ])
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}")
    print(measured)


if __name__ == "__main__":
    main()
