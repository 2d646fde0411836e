"""What a SPIR-V module of wgpu says of itself: label, WGSL, bindings and the constants that tell kernels apart.

Label and WGSL are there where wgpu wrote debug information (WGPU_DEBUG=1).
"""

import re
import struct

ENTRY_POINT, FUNCTION = 15, 54
SOURCE_CONTINUED, SOURCE, STRING = 2, 3, 7
DECORATE, VARIABLE, TYPE_POINTER, TYPE_IMAGE = 71, 59, 32, 25
BINDING, DESCRIPTOR_SET = 33, 34
UNIFORM, PUSH_CONSTANT, STORAGE_BUFFER = 2, 9, 12


class Module:
    """`bindings` is {set: {binding: "storage", "uniform" or "image"}}."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.entry, self.label, self.wgsl = "main", "", ""
        self.bindings, self.push_constants = {}, False
        strings, decorations, variables = {}, {}, {}
        source = None
        for op, words in self.instructions():
            if op == STRING:
                strings[words[0]] = text(words[1:])
            elif op == SOURCE:
                source = words[2] if len(words) > 2 else source
                self.wgsl += text(words[3:])
            elif op == SOURCE_CONTINUED:
                self.wgsl += text(words)
            elif op == ENTRY_POINT:
                self.entry = text(words[2:])
            elif op == DECORATE and words[1] in (BINDING, DESCRIPTOR_SET):
                decorations.setdefault(words[0], {})[words[1]] = words[2]
            elif op == VARIABLE:
                variables[words[1]] = words[2]
            elif op == FUNCTION:
                break
        self.label = strings.get(source, "")
        for variable, storage in variables.items():
            self.push_constants |= storage == PUSH_CONSTANT
            place = decorations.get(variable, {})
            if BINDING in place:
                kind = {STORAGE_BUFFER: "storage", UNIFORM: "uniform"}.get(storage, "image")
                self.bindings.setdefault(place.get(DESCRIPTOR_SET, 0), {})[place[BINDING]] = kind

    def instructions(self):
        """Opcode and operands of each instruction."""
        words = struct.unpack(f"<{len(self.data) // 4}I", self.data)
        at = 5
        while at < len(words):
            count = words[at] >> 16
            if count == 0:
                return
            yield words[at] & 0xFFFF, words[at + 1 : at + count]
            at += count

    def constants(self):
        """Whole numbers that the WGSL names."""
        found = re.findall(r"const\s+(\w+)\s*:\s*\w+\s*=\s*(-?\d+)[ui]?\s*;", self.wgsl)
        return {name: int(value) for name, value in found}


def text(words):
    data = struct.pack(f"<{len(words)}I", *words)
    return data.split(b"\0")[0].decode("utf8", "replace")
