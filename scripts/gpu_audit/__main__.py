#!/usr/bin/env python3
"""What GPUs would run, without a GPU: prints what real compilers make of each kernel of a training step.

    python3 scripts/gpu_audit [--devices navi31,ga102] [--models lenet5] [--kernels REGEX]
    python3 scripts/gpu_audit -- bench conv --variants --shaders shaders

The program runs unchanged on Mesa's drivers over no-op devices, which compile every pipeline and compute nothing. Ends with
status 1 where a kernel is past a limit of limits.toml. docs/performance.md says how to read the table.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("gpu_audit: this Python is older than 3.11, which can read limits.toml")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import kernels
import table
from limits import Limits, WrongLimits
from mesa import DEVICES, NotThere, Runner, unpacked, version
from spirv import Module

ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Batches with which people train; the sizes of kernels follow from them.
BATCHES = {"lenet5": 64, "resnet18_cifar": 128, "mobilenet_v2": 32}


class Failed(Exception):
    """A program on a no-op device did not end well."""


def main():
    options = read_options()
    try:
        if not options.binary.exists() and not options.fetch:
            raise Failed(f"there is no {options.binary}: run `cargo build --release`, or name the program with --binary")
        mesa = Path(options.mesa) if options.mesa else unpacked(TARGET / "gpu-audit" / options.suite, options.suite)
        if options.fetch:
            print(f"gpu_audit: Mesa is in {mesa}")
            return 0
        limits = Limits(options.limits, [device.name for device in DEVICES])
        programs = [options.command] if options.command else [
            ["profile", model, "--batch", str(BATCHES[model])] for model in options.models]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tables = list(pool.map(lambda device: audited(device, mesa, programs, options), options.devices))
    except (NotThere, Failed, WrongLimits) as error:
        print(f"gpu_audit: {error}", file=sys.stderr)
        return 1
    broken = []
    for device, found in zip(options.devices, tables):
        shown = [kernel for kernel in found if re.search(options.kernels, kernel.name)]
        print(f"### {device.title}{version(mesa)}\n\n{table.markdown(shown)}\n")
        broken += limits.broken(shown, device.name)
    if not options.command and not options.kernels and set(options.models) == set(BATCHES):
        names = [device.name for device in options.devices]
        broken += [f"no kernel has a name like `{pattern}`, which has a limit" for pattern in limits.unused(names)]
    for sentence in broken:
        print(f"gpu_audit: {sentence}", file=sys.stderr)
    print(f"gpu_audit: {sum(map(len, tables))} kernels on {len(tables)} devices, {len(broken)} numbers past their limits", file=sys.stderr)
    return 1 if broken else 0


def read_options():
    parser = argparse.ArgumentParser(prog="gpu_audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [device.name for device in DEVICES]
    parser.add_argument("--devices", type=list_of(names), default=names, help="with commas between them: " + ", ".join(names))
    parser.add_argument("--models", type=list_of(BATCHES), default=list(BATCHES), help="with commas between them: " + ", ".join(BATCHES))
    parser.add_argument("--kernels", default="", metavar="REGEX", help="only rows whose name has this, and their limits")
    parser.add_argument("--binary", type=Path, default=TARGET / "release" / "tilewright")
    parser.add_argument("--suite", default="sid", help="the Debian suite whose Mesa is downloaded")
    parser.add_argument("--mesa", metavar="DIR", help="a folder with Mesa's packages unpacked, instead")
    parser.add_argument("--fetch", action="store_true", help="only download what is missing")
    parser.add_argument("--limits", type=Path, default=HERE / "limits.toml")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep SPIR-V and machine code here")
    parser.add_argument("command", nargs="*", help="what to run instead of the models' steps, after `--`")
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    options.devices = [device for device in DEVICES if device.name in options.devices]
    return options


def list_of(known):
    def parse(text):
        words = text.split(",")
        unknown = [word for word in words if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"`{unknown[0]}` is none of {', '.join(known)}")
        return words

    return parse


def audited(device, mesa, programs, options):
    """The kernels of the programs on one device."""
    with tempfile.TemporaryDirectory(prefix="gpu-audit-") as scratch:
        scratch = Path(scratch)
        runner = Runner(mesa, device, scratch)
        # Programs share kernels.
        modules = {}
        for number, program in enumerate(programs):
            dump = scratch / f"spirv-{number}"
            dump.mkdir()
            ran = runner.run(options.binary, program, {
                # Labels and WGSL in the SPIR-V; one thread, since files may be named by their order.
                "WGPU_DEBUG": "1", "MESA_SPIRV_DUMP_PATH": dump, "RAYON_NUM_THREADS": "1"})
            must_have_run(ran, f"`{options.binary} {' '.join(program)}` on {device.name}")
            for path in sorted(dump.iterdir()):
                module = Module(path)
                if module.label:
                    modules.setdefault(module.data, module)
        if not modules:
            raise Failed(f"`{' '.join(programs[0])}` compiled no kernel on {device.name}: does it run on a GPU there?")
        files = {}
        for module in modules.values():
            files[str(scratch / f"{len(files)}.spv")] = module
        for path, module in files.items():
            Path(path).write_bytes(module.data)
        ran = runner.run(sys.executable, [HERE / "vulkan.py", *files], device.printing)
        must_have_run(ran, f"the compiler of {device.name}")
        answers = json.loads(ran.stdout)
        if options.keep:
            keep(options.keep / device.name, files, answers)
        return [kernels.kernel(files[answer["file"]], answer) for answer in answers]


def must_have_run(ran, what):
    if ran.returncode != 0:
        last = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()][-3:]
        raise Failed(f"{what} ended with status {ran.returncode}: " + " / ".join(last))


def keep(folder, files, answers):
    """For each kernel its SPIR-V and its machine code, by name and number."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, answer in enumerate(answers):
        module = files[answer["file"]]
        name = re.sub(r"\W+", "-", f"{kernels.name_of(module)} {number}")
        (folder / f"{name}.spv").write_bytes(module.data)
        for text in answer["code"].values():
            (folder / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
