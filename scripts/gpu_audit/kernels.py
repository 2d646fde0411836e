"""A kernel as one GPU's compiler sees it: what the program calls it, and its numbers."""

import re
from dataclasses import dataclass

import machine_code

# Each number by the names that drivers give it: of AMD's, NVIDIA's and Apple's GPUs.
STATISTICS = {
    "registers": ("VGPRs", "Number of GPRs", "GPRs"),
    "spills": ("Spilled VGPRs", "Spills to memory", "Spills"),
    "scratch": ("Scratch size", "SLM size", "Scratch"),
    "waves": ("Subgroups per SIMD", "Max warps/SM", "Threads"),
    "shared": ("LDS size", "shared_size"),
    "instructions": ("Instructions", "Instruction count"),
}
# What a limit may name: these, what is made of them, and the kinds of instructions.
NUMBERS = [*STATISTICS, "share", "vector per load", *machine_code.KINDS]


@dataclass
class Kernel:
    """`registers` to `instructions` are the driver's; `mix` is of the hot loop, or of all code where `loops` is false."""

    name: str
    numbers: dict
    mix: machine_code.Mix = None
    loops: bool = False

    def number(self, name):
        """A number by the name that a column or a limit has for it, or `None` where the driver does not tell."""
        if name in self.numbers:
            return self.numbers[name]
        if self.mix is None:
            return None
        if name == "share":
            return round(100 * self.mix.share(), 1) if self.mix["fma"] else None
        if name == "vector per load":
            loaded = self.mix.loaded_elements()
            return round((self.mix["vector"] + self.mix["slow"]) / loaded, 1) if loaded else None
        return self.mix[name]


def kernel(module, answer):
    statistics = answer["statistics"]
    numbers = {}
    for name, theirs in STATISTICS.items():
        numbers[name] = next((int(statistics[word]) for word in theirs if word in statistics), None)
    code = machine_code.read(answer["code"])
    if code is None:
        return Kernel(name_of(module), numbers)
    loop = code.hot_loop()
    return Kernel(name_of(module), numbers, loop or code.whole(), loop is not None)


def name_of(module):
    """The shader's name with what tells its pipelines apart: `conv/workgroup_tile forward 128x128x8 3x3/1`."""
    values = module.constants()
    words = [module.label]
    if "TILE_ROWS" in values:
        buffers = re.findall(r"var<storage[^>]*>\s*(\w+)", module.wgsl)
        words += [words_of for buffer, words_of in (("y", "forward"), ("dx", "input gradient"), ("dw", "weight gradient")) if buffer in buffers]
        words += ["x".join(str(values[name]) for name in ("TILE_ROWS", "TILE_COLUMNS", "TILE_DEPTH") if name in values)]
    if "KERNEL_WIDTH" in values and not is_linear(values):
        words.append(f"{values['KERNEL_HEIGHT']}x{values['KERNEL_WIDTH']}/{values.get('STRIDE_X', 1)}")
    elif is_linear(values):
        words.append("linear")
    # Strided input gradients run in phases, each with its own taps.
    if values.get("STEP_Y", 1) * values.get("STEP_X", 1) > 1:
        words.append(f"phase of {values['TAPS_Y']}x{values['TAPS_X']}")
    if "store_row_sum" in module.wgsl:
        words.append("with bias")
    return " ".join(words)


def is_linear(values):
    return values.get("HEIGHT", 0) * values.get("WIDTH", 0) == 1 and values.get("KERNEL_WIDTH") == 1
