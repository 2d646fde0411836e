#!/usr/bin/env python3
"""Times training steps of two builds of tilewright in turn, and writes their medians as a Markdown table.

    python3 scripts/compare-steps.py BEFORE AFTER [ROUNDS]

BEFORE and AFTER are release binaries. A round runs each model with one and then with the other, so that what else the
machine does meets both.
"""

import json
import statistics
import subprocess
import sys

# Model and options of `bench step`.
STEPS = [
    ("lenet5", ["--batch", "64"]),
    ("cifar_cnn", ["--batch", "64"]),
    ("resnet18_cifar", ["--batch", "16"]),
    ("mobilenet_v2", ["--batch", "2", "--size", "96x96"]),
]


def milliseconds(binary, model, options):
    command = [binary, "bench", "step", model, *options, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"`{' '.join(command)}` ended with {ended.returncode}: {ended.stderr.strip()}")
    return json.loads(ended.stdout.splitlines()[-1])["ms_per_step"]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    binaries = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) == 4 else 3
    print("| step | before, ms | after, ms | after / before |")
    print("| --- | ---: | ---: | ---: |")
    for model, options in STEPS:
        times = [[], []]
        for _ in range(rounds):
            for binary, own in zip(binaries, times):
                own.append(milliseconds(binary, model, options))
        before, after = map(statistics.median, times)
        print(f"| {model} {' '.join(options)} | {before:.1f} | {after:.1f} | {after / before:.3f} |", flush=True)


if __name__ == "__main__":
    main()
