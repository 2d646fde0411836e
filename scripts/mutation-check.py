#!/usr/bin/env python3
"""Breaks every shader in one place at a time, and sees whether `tilewright check` notices.

    cargo build --release
    python3 scripts/mutation-check.py                  # all; --write puts the table into docs/mutation.md
    python3 scripts/mutation-check.py pool/            # only the files whose path holds this; --write keeps other rows

A mutation stands in the shader, in a comment above the line that it breaks:

    // mutate `sum + bias[k]` => `sum` (conv2d: dropped bias)

It is killed when the check of the ops that use the file fails. No build is needed between
mutations: `tilewright check --shaders` takes the changed file in place of the program's. Ends with status 1
when a mutation survives, a text to be replaced is not in its line, or a shader file has no mutation. What needs
matrix units is counted as not run on a device without them.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHADERS = ROOT / "shaders"

# What stands above a line of a shader: a text of that line, what takes its place, the ops to check, what is broken.
FORM = re.compile(r"\s*// mutate `(?P<text>.+?)` => `(?P<other>.*?)` \((?P<ops>[\w,]+): (?P<what>.+)\)")


class Mutation(typing.NamedTuple):
    file: str
    line: int  # of the code, from 0
    text: str
    other: str
    ops: str
    what: str


def mutations(file):
    """The mutations of a shader file, in the order of its lines."""
    lines = (SHADERS / f"{file}.wgsl").read_text().split("\n")
    for number, line in enumerate(lines):
        if line.lstrip().startswith("// mutate"):
            form = FORM.fullmatch(line)
            if not form:
                sys.exit(f"{file}.wgsl, line {number + 1}: the form is // mutate `TEXT` => `OTHER` (OPS: WHAT)")
            code = next(i for i in range(number + 1, len(lines)) if not lines[i].lstrip().startswith("//"))
            yield Mutation(file, code, *form.group("text", "other", "ops", "what"))


# How to check the files of which a device may not have the kernels, and what it then says.
OPTIONS = {
    "conv/cooperative_tile": ["--precision", "f16", "--emulate"],
    "conv/cooperative_emulated": ["--precision", "f16", "--emulate"],
    "conv/cooperative_units": ["--precision", "f16"],
}
LACKING = "f16      without matrix units"


def checked(program, device, folder, ops, options, seconds):
    """What the check of `ops` reports first with the shaders in `folder`, None when it passes."""
    for op in ops.split(","):
        command = [program, "check", "--op", op, "--shaders", str(folder), "--device", device, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        last, lacking = "", None
        started = time.monotonic()
        for line in process.stdout:
            last = line.strip() or last
            if line.startswith(LACKING) and options == OPTIONS["conv/cooperative_units"]:
                lacking = line.strip()
            if line.startswith("FAILED") or time.monotonic() - started > seconds:
                process.kill()
                process.wait()
                return last
        if process.wait() != 0:
            return last or f"status {process.returncode}"
        if lacking:
            return lacking
    return None


def mutate(program, device, mutation, seconds):
    """The verdict on a mutation, and its reason."""
    file = mutation.file
    lines = (SHADERS / f"{file}.wgsl").read_text().split("\n")
    if mutation.text not in lines[mutation.line] or mutation.text == mutation.other:
        return "NOT APPLIED", "the text to be replaced is not in the line below"
    lines[mutation.line] = lines[mutation.line].replace(mutation.text, mutation.other, 1)
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / f"{file}.wgsl"
        target.parent.mkdir(parents=True)
        target.write_text("\n".join(lines))
        failure = checked(program, device, folder, mutation.ops, OPTIONS.get(file, []), seconds)
    if failure is None:
        return "SURVIVED", failure
    if failure.startswith(LACKING):
        return "not run", failure
    return "killed" if "element" in failure else "NOT APPLIED", failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="only files whose path holds this")
    parser.add_argument("--program", default=str(ROOT / "target/release/tilewright"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=600, help="a check that takes longer counts as killed")
    parser.add_argument("--write", action="store_true", help="write the table into docs/mutation.md")
    arguments = parser.parse_args()
    if not shutil.which(arguments.program):
        sys.exit(f"there is no {arguments.program}: run cargo build --release, or name it with --program")

    files = {path.relative_to(SHADERS).with_suffix("").as_posix() for path in SHADERS.rglob("*.wgsl")}
    all_of_them = [mutation for file in sorted(files) for mutation in mutations(file)]
    chosen = [mutation for mutation in all_of_them if arguments.part in mutation.file]
    rows, survivors, missed, wrong = [], 0, 0, sorted(files - {mutation.file for mutation in all_of_them})
    for file in wrong:
        print(f"NO MUTATION of {file}", flush=True)
    for mutation in chosen:
        verdict, by = mutate(arguments.program, arguments.device, mutation, arguments.seconds)
        survivors += verdict == "SURVIVED"
        missed += verdict == "not run"
        wrong += [mutation.file] * (verdict == "NOT APPLIED")
        print(f"{verdict}: {mutation.file}, {mutation.what}: {by}", flush=True)
        rows.append((mutation.file, mutation.what, mutation.ops, verdict))
    print(f"{len(rows)} mutations, {survivors} survived, {missed} not run, {len(wrong)} wrong entries")
    if arguments.write:
        write(rows, arguments.part)
    sys.exit(1 if survivors or wrong else 0)


def write(rows, part):
    """Puts the table below the marker of docs/mutation.md. Of files that were not tried, the rows stay as they are."""
    page = ROOT / "docs/mutation.md"
    marker = "| shader | broken | checked | |\n| --- | --- | --- | --- |\n"
    head, held = page.read_text().split(marker)
    lines = [
        f"| [{file}](../shaders/{file}.wgsl) | {what} | {ops.replace(',', ', ')} | {verdict} |"
        for file, what, ops, verdict in rows
    ]

    def file_of(line):
        return line[len("| [") : line.index("]")]

    kept = [line for line in held.splitlines() if part not in file_of(line) and (SHADERS / f"{file_of(line)}.wgsl").exists()]
    table = sorted(lines + kept, key=file_of)
    page.write_text(head + marker + "".join(f"{line}\n" for line in table))


main()
