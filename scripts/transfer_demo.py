#!/usr/bin/env python3
"""Transfer learning on a small task: does a network that knows nine classes learn a tenth from few images?

A network is trained on nine classes of a data set. Then the second task, the tenth class against the other
nine, with few images, none of which it has seen: once with everything frozen but a fresh head, once with all
layers trained on from there, once from scratch. The second task is run for each seed, and the test accuracies
are printed.

DATA is a folder with train/CLASS/*.jpg and test/CLASS/*.jpg, or a .tar or .tar.gz of one. Needs only Python:

    scripts/transfer_demo.py DATA [--tenth horse] [--seeds 3] [--out transfer]
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

# Images of a class in the first task, for training and testing, and in the second task the tenth's.
NINE = {"train": 400, "test": 60}
TENTH = {"train": 45, "test": 297}
MODEL = ["cifar_cnn", "--set", "filters=[16,32,64]"]
FIRST = ["--epochs", "12", "--batch", "64"]
SECOND = ["--epochs", "20", "--batch", "9"]


def unpacked(data, out):
    """The folder of the images."""
    if data.is_dir():
        return data.resolve()
    folder = out.resolve() / "images"
    if not folder.is_dir():
        with tarfile.open(data) as archive:
            archive.extractall(folder, filter="data")
    return folder


def link(images, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        target = folder / f"{image.parent.name}-{image.name}"
        if not target.exists():
            os.symlink(image, target)


def make_tasks(data, out, tenth):
    """Two folders of links to images, and the number of training images in each."""
    for split in ["train", "test"]:
        classes = sorted(folder.name for folder in (data / split).iterdir() if folder.is_dir())
        if tenth not in classes:
            sys.exit(f"{data / split} has no class {tenth}: {', '.join(classes)}")
        for name in classes:
            images = sorted((data / split / name).iterdir())
            if name == tenth:
                link(images[: TENTH[split]], out / "tenth" / split / name)
                continue
            link(images[: NINE[split]], out / "nine" / split / name)
            # As many of all others together as of the tenth, and none that the first task has.
            rest = images[NINE[split] :][: TENTH[split] // (len(classes) - 1)]
            link(rest, out / "tenth" / split / "rest")


def train(arguments, name, *options):
    """Runs `tilewright train`; its result."""
    run = arguments.out / "runs" / name
    command = [arguments.binary, "train", *MODEL, "--run", run, "--device", arguments.device, "--json", *options]
    ended = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with status {ended.returncode}")
    return json.loads(ended.stdout.splitlines()[-1])


def main():
    binary = Path(__file__).resolve().parent.parent / "target/release/tilewright"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tenth", default="horse", help="the class of the second task")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("transfer"), help="folder for links and runs; must be new")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--binary", default=binary)
    arguments = parser.parse_args()
    if (arguments.out / "runs").exists():
        sys.exit(f"{arguments.out} has runs already: name another --out")
    start = time.monotonic()
    make_tasks(unpacked(arguments.data, arguments.out), arguments.out, arguments.tenth)
    nine, tenth = ["--data", f"folder:{arguments.out / 'nine'}"], ["--data", f"folder:{arguments.out / 'tenth'}"]

    first = train(arguments, "nine", *nine, *FIRST)
    known = ["--init", arguments.out / "runs/nine/checkpoint.safetensors", "--head", "2"]
    ways = {
        "head only": [*known, "--freeze", "*"],
        "all layers": [*known, "--lr", "3e-4"],
        "from scratch": [],
    }
    found = {way: [] for way in ways}
    for seed in range(1, arguments.seeds + 1):
        for way, options in ways.items():
            name = f"{way.replace(' ', '-')}-{seed}"
            result = train(arguments, name, *tenth, *SECOND, "--seed", seed, *options)
            found[way].append(result["test_accuracy"])

    print(f"nine classes: test accuracy {first['test_accuracy']:.1%}")
    print(f"| {arguments.tenth} against the rest | mean | {' | '.join(f'seed {n + 1}' for n in range(arguments.seeds))} |")
    print("| --- " * (arguments.seeds + 2) + "|")
    for way, accuracies in found.items():
        mean = sum(accuracies) / len(accuracies)
        print(f"| {way} | {mean:.1%} | {' | '.join(f'{accuracy:.1%}' for accuracy in accuracies)} |")
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
