#!/usr/bin/env python3
"""Copies a sample of conformance cases into tests/data/conformance, which travels with the code.

    python3 scripts/conformance-sample.py ../shared/conformance/cases

Of each op, loss, optimizer and schedule it takes the smallest case and the largest that is no larger than LARGEST,
of models those in MODELS, and ends with status 1 when they come to more than a megabyte.
"""

import pathlib
import re
import shutil
import sys

SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "tests/data/conformance"
LARGEST = 32 << 10
MOST = 1 << 20
# A few that a software adapter runs in seconds, and two that only count parameters.
MODELS = ["lenet5", "cifar_cnn", "cs231n_cnn", "resnet18_cifar", "mobilenet_v2", "alexnet_cifar", "resnet34"]


def groups(cases: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The cases by kind and name, such as `op_conv2d`, the smallest first."""
    found: dict[str, list[pathlib.Path]] = {}
    for file in sorted(cases.glob("*.safetensors"), key=lambda file: (file.stat().st_size, file.name)):
        found.setdefault(re.sub(r"_\d+$", "", file.stem), []).append(file)
    return found


def chosen(group: str, files: list[pathlib.Path]) -> list[pathlib.Path]:
    kind, _, name = group.partition("_")
    if kind == "model" and name not in MODELS:
        return []
    small = [file for file in files if file.stat().st_size <= LARGEST] or files[:1]
    return [small[0], *small[1:][-1:]]


def main() -> int:
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    files = [file for group, all_of in groups(pathlib.Path(sys.argv[1])).items() for file in chosen(group, all_of)]
    shutil.rmtree(SAMPLE, ignore_errors=True)
    SAMPLE.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, SAMPLE / file.name)
    size = sum(file.stat().st_size for file in files)
    print(f"{len(files)} cases, {size} bytes")
    return int(size > MOST)


if __name__ == "__main__":
    sys.exit(main())
