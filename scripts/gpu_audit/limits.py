"""What a kernel may have at most, by limits.toml."""

import re
import tomllib
from dataclasses import dataclass

from kernels import NUMBERS


class WrongLimits(Exception):
    """The file of limits says what cannot be read."""


@dataclass
class Limit:
    kernel: re.Pattern
    devices: list
    of: str
    at_most: dict
    at_least: dict
    used: bool = False

    def holds_for(self, kernel, device):
        part = "loop" if kernel.loops else "all"
        return (not self.devices or device in self.devices) and self.of in ("", part) and self.kernel.search(kernel.name)


class Limits:
    def __init__(self, path, devices):
        try:
            with open(path, "rb") as file:
                entries = tomllib.load(file)["limit"]
            self.entries = [self.limit(**entry) for entry in entries]
        except (OSError, KeyError, TypeError, re.error, tomllib.TOMLDecodeError) as error:
            raise WrongLimits(f"{path}: {error}") from error
        for entry in self.entries:
            self.must_be_known(path, "device", entry.devices, devices)
            self.must_be_known(path, "part", [entry.of] if entry.of else [], ["loop", "all"])
            self.must_be_known(path, "number", [*entry.at_most, *entry.at_least], NUMBERS)

    @staticmethod
    def must_be_known(path, what, names, known):
        for name in names:
            if name not in known:
                raise WrongLimits(f"{path}: no {what} is called `{name}`; there are {', '.join(known)}")

    @staticmethod
    def limit(kernel, devices=(), of="", at_most=None, at_least=None):
        return Limit(re.compile(kernel), list(devices), of, at_most or {}, at_least or {})

    def of(self, kernel, device):
        """`(number, bound, at most?)` of a kernel; the last entry that names a number counts."""
        found = {}
        for entry in self.entries:
            if entry.holds_for(kernel, device):
                entry.used = True
                found.update({name: (bound, True) for name, bound in entry.at_most.items()})
                found.update({name: (bound, False) for name, bound in entry.at_least.items()})
        return [(name, *bound) for name, bound in found.items()]

    def broken(self, kernels, device):
        """A sentence for each number of a kernel that is past its limit."""
        sentences = set()
        for kernel in kernels:
            for name, bound, is_most in self.of(kernel, device):
                number = kernel.number(name)
                if number is not None and (number > bound if is_most else number < bound):
                    sentences.add(f"{device}: {kernel.name} has {name} {number:g}, the limit is at {'most' if is_most else 'least'} {bound:g}")
        return sorted(sentences)

    def unused(self, devices):
        """Entries for these devices that no kernel met: what they watched has another name now."""
        return [entry.kernel.pattern for entry in self.entries
                if not entry.used and (not entry.devices or set(entry.devices) & set(devices))]
