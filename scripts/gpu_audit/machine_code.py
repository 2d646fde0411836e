"""Counts instructions in the text of machine code, as three of Mesa's compilers print it: of AMD's GPUs (RADV), NVIDIA's (NVK)
and Apple's (Honeykrisp).

Each of the three readers turns a line into an `Instruction` or a place that branches name. Kinds:

    fma           multiply-add of f32 or f16
    matrix        product of small matrices
    slow          at a quarter of the rate or less: whole products of 32 bits, reciprocals, roots, exponentials
    vector        all other arithmetic that each lane does
    load, store   of global memory; and `shared load`, `shared store` of the workgroup's, `local load`, `local store`
    branch        also what masks lanes, on Apple's
    barrier       of the workgroup
    other         scalar work, waits, no operation
"""

import re
from collections import Counter
from dataclasses import dataclass

KINDS = ["fma", "matrix", "slow", "vector", "load", "store", "shared load", "shared store", "local load", "local store", "branch",
         "barrier", "other"]


@dataclass(frozen=True)
class Instruction:
    kind: str
    bytes: int = 0
    target: object = None
    # Whether what stands below may run next.
    goes_on: bool = True


class Code:
    """Instructions in order, and the index at which each place that a branch can name begins."""

    def __init__(self, instructions, places):
        self.instructions = instructions
        self.places = places

    def target(self, index):
        return self.places.get(self.instructions[index].target)

    def divides(self, index, first, inside):
        """Whether a branch leads elsewhere within a loop; one that closes the loop or leaves it belongs to the loop."""
        branch = self.instructions[index]
        if branch.target is None:
            return True
        target = self.target(index)
        return target in inside and target != first and (not branch.goes_on or index + 1 in inside)

    def loops(self):
        """First instruction and all instructions of each loop: what leads back to the first without passing it.

        All lie between the first and the last branch back; what compilers place there that leaves the loop does not count."""
        before = [[] for _ in self.instructions]
        ends = {}
        for index, instruction in enumerate(self.instructions):
            following = [index + 1] if instruction.goes_on else []
            target = self.target(index)
            for place in [*following, *([] if target is None else [target])]:
                if place < len(before):
                    before[place].append(index)
            if target is not None and target <= index:
                ends.setdefault(target, []).append(index)
        for first, waiting in ends.items():
            last = waiting[-1]
            inside = {first, *waiting}
            waiting = [index for index in waiting if index != first]
            while waiting:
                # A loop may be entered at its test, which stands at its end.
                new = {index for index in before[waiting.pop()] if first < index < last} - inside
                inside |= new
                waiting += new
            yield first, sorted(inside)

    def hot_loop(self):
        """The loop that computes most, the shortest of equals. `None` where there is none, or where most was unrolled, and
        what is left of loops does less than an eighth of the work."""
        found = [Mix(self, first, inside) for first, inside in self.loops()]
        hot = max(found, key=lambda mix: (mix.work(), -mix.length), default=None)
        if hot is None or hot.work() == 0 or 8 * hot.work() < self.whole().work():
            return None
        return hot

    def whole(self):
        return Mix(self, 0, range(len(self.instructions)))


class Mix:
    """How many of some instructions are of each kind, and how wide their accesses are."""

    def __init__(self, code, first, inside):
        self.length = len(inside)
        chosen = [code.instructions[index] for index in inside]
        self.counts = Counter(instruction.kind for instruction in chosen)
        self.widths = Counter((instruction.kind, instruction.bytes) for instruction in chosen)
        within = set(inside)
        self.counts["branch"] = sum(code.instructions[index].kind == "branch" and code.divides(index, first, within)
                                    for index in within)

    def __getitem__(self, kind):
        return self.counts[kind]

    def work(self):
        return self["fma"] + 100 * self["matrix"] + self["load"] + self["shared load"]

    def loaded_elements(self):
        return sum(count * size / 4 for (kind, size), count in self.widths.items() if kind == "load")

    def share(self):
        """Multiply-adds among the slots of vector instructions; a slow one takes four."""
        slots = self["fma"] + self["vector"] + 4 * self["slow"]
        return self["fma"] / slots if slots else 0.0

    def accesses(self, kind):
        """Such as `8 x 4 + 2 x 16`: number and bytes of a lane."""
        sizes = sorted((size, count) for (what, size), count in self.widths.items() if what == kind)
        return " + ".join(f"{count} x {size}" for size, count in sizes)


def read(texts):
    """The code in the first of the named texts that a reader knows, or `None`."""
    for name, reader in (("Assembly", amd), ("NAK assembly", nvidia), ("printed", apple)):
        if name in texts:
            instructions, places = [], {}
            for place, found in reader(texts[name]):
                if place is not None:
                    places[place] = len(instructions)
                instructions += found
            return Code(instructions, places) if instructions else None
    return None


def amd(text):
    """`BB1:` names a block; `v_` are vector instructions, `v_dual_` two in one, `s_` scalar ones."""
    for line in text.splitlines():
        place = re.match(r"(BB\d+):", line)
        if place:
            yield place.group(1), []
        elif line[:1].isspace() and line.strip():
            # An encoding in hexadecimal digits may follow.
            line = line.split(";")[0].strip()
            yield None, [amd_instruction(part.strip()) for part in line.split("::") if part]


AMD_FMA = ("v_fma_f32", "v_fmac_f32", "v_fmaak_f32", "v_fmamk_f32", "v_mac_f32", "v_mad_f32", "v_pk_fma_", "v_fma_mix_f32",
           "v_fma_f16", "v_fmac_f16", "v_dual_fmac_f32", "v_dual_fmaak_f32", "v_dual_fmamk_f32")
AMD_SLOW = ("v_mul_lo_", "v_mul_hi_", "v_mad_u64_", "v_mad_i64_", "v_mad_co_u64_", "v_mad_co_i64_", "v_rcp_", "v_rsq_",
            "v_sqrt_", "v_exp_", "v_log_", "v_sin_", "v_cos_")


def amd_instruction(line):
    op, *operands = line.split()
    if op.startswith(AMD_FMA):
        return Instruction("fma")
    if op.startswith(("v_wmma", "v_mfma")):
        return Instruction("matrix")
    if op.startswith(AMD_SLOW):
        return Instruction("slow")
    if op.startswith("v_"):
        return Instruction("vector")
    if op.startswith("s_barrier"):
        return Instruction("barrier")
    if op.startswith(("s_cbranch", "s_branch")):
        return Instruction("branch", target=operands[0], goes_on=op != "s_branch")
    if op in ("s_endpgm", "s_setpc_b64"):
        return Instruction("other", goes_on=False)
    memory = re.match(r"(ds|buffer|tbuffer|global|flat|image|scratch)_.*?(load|read|store|write)", op)
    if memory is None:
        return Instruction("other")
    space = {"ds": "shared ", "scratch": "local "}.get(memory.group(1), "")
    return Instruction(space + ("load" if memory.group(2) in ("load", "read") else "store"), amd_bytes(op))


def amd_bytes(op):
    # buffer_load_dwordx4 of old, buffer_load_b128 and ds_load_2addr_b64 of new names.
    bits = re.search(r"_[bui](\d+)", op)
    dwords = re.search(r"dword(?:x(\d))?", op)
    size = 4 * int(dwords.group(1) or 1) if dwords else int(bits.group(1)) // 8 if bits else 4
    return size * (2 if re.search("2addr|read2|write2", op) else 1)


def nvidia(text):
    """`block 3 L9 [2] -> {` names a block; lines are `@p0 r1 = iadd3 r2 r3 rZ // delay=1`, and `ur1 = ...` is scalar work."""
    for line in text.splitlines():
        place = re.match(r"block(?:\.u)? \d+ (L\d+) ", line)
        line = line.split("//")[0].strip()
        if place:
            yield place.group(1), []
        elif line and not line.startswith("}"):
            yield None, [nvidia_instruction(re.sub(r"^@!?\w+\s+", "", line), line.startswith("@"))]


NVIDIA_SCALAR = ("nop", "bssy", "bsync", "bclear", "bmov", "membar", "ldc", "s2r", "s2ur", "cs2r", "r2ur", "ccctl",
                 "errbar", "depbar", "warpsync", "break")


def nvidia_instruction(line, is_conditional):
    result, _, operation = line.rpartition(" = ")
    op, *operands = operation.split()
    name, *suffixes = op.split(".")
    if name == "bra":
        return Instruction("branch", target=operands[-1], goes_on=is_conditional or operands[0] != "pT")
    if name == "exit":
        return Instruction("other", goes_on=is_conditional)
    if name == "bar":
        return Instruction("barrier")
    if name in ("ld", "st"):
        space = {"global": "", "shared": "shared ", "local": "local "}[suffixes[0]]
        bits = next(int(word[1:]) for word in suffixes if re.fullmatch(r"[bui]\d+", word))
        return Instruction(space + ("load" if name == "ld" else "store"), bits // 8)
    if name in ("ffma", "hfma2"):
        return Instruction("fma")
    if name in ("hmma", "imma"):
        return Instruction("matrix")
    if name in ("mufu", "i2f", "f2i", "popc", "flo", "bfind"):
        return Instruction("slow")
    if name in NVIDIA_SCALAR or re.match("u[rp]", result):
        return Instruction("other")
    return Instruction("vector")


def apple(text):
    """` 2270: 00c05cdeffff  jmp_any -8612`: an address, the encoding, and distances for branches. A second function, which
    runs once for all lanes, begins at address 0 again."""
    started = False
    for line in text.splitlines():
        found = re.match(r"\s*([0-9a-f]+): [0-9a-f]+\s+(\w.*)", line)
        if found:
            address = int(found.group(1), 16)
            if address == 0 and started:
                return
            started = True
            yield address, [apple_instruction(address, found.group(2))]


def apple_instruction(address, line):
    op, *operands = re.split(r"[\s,]+", line.strip())
    if op.startswith("jmp"):
        # Only jumps back: `if` is the branch of a jump ahead, with or without it.
        distance = int(operands[0])
        return Instruction("branch", target=address + distance) if distance < 0 else Instruction("other")
    if op == "if":
        return Instruction("branch")
    if op == "barrier":
        return Instruction("barrier")
    if op in ("load", "store", "lload", "lstore", "stack_load", "stack_store"):
        mask = next((word for word in operands if re.fullmatch("x?y?z?w?", word) and word), "x")
        size = next((int(word[1:]) // 8 for word in operands if re.fullmatch(r"i(8|16|32)", word)), 4)
        space = "local " if op.startswith("stack") else "shared " if op.startswith("l") and op != "load" else ""
        return Instruction(space + ("load" if op.endswith("load") else "store"), size * len(mask))
    if op in ("ffma", "fmadd"):
        return Instruction("fma")
    if op.startswith("simd_matrix"):
        return Instruction("matrix")
    if op in ("imul", "imadd", "imsub", "imadd64", "rcp", "rsqrt", "rsqrts", "sqrt", "exp2", "log2", "sin_pt_1", "sin_pt_2"):
        return Instruction("slow")
    if op in ("else", "while", "pop_exec", "wait", "stop", "trap", "nop", "next"):
        return Instruction("other")
    return Instruction("vector")
