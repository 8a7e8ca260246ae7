"""What differs between machines, in one table: nothing above this file knows a processor's name."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ..lazy import undivided


@dataclass(frozen=True)
class Target:
    """A machine to generate code for.

    Attributes
    ----------
    triple, cpu, features : as LLVM spells them; ``features`` is a comma-separated list of +name and -name
    vector : bytes in a vector register
    registers : number of vector registers
    fma : whether a fused multiply-add is one instruction
    masks : whether masked loads and stores are single instructions
    """

    triple: str
    cpu: str
    features: str
    vector: int
    registers: int
    fma: bool
    masks: bool

    @property
    def busy(self) -> int:
        """Multiply-adds under way at once that keep the units for them busy: two units of 32 bytes, or one of 64."""
        return 8 if self.registers > 16 else 10

    @property
    def tile(self) -> int:
        """Rows of most tiles of registers, at multiples of which matrix products are best cut."""
        return 8 if self.registers > 16 else 6

    def lanes(self, bytes_each: int) -> int:
        """Elements of this size in a vector register."""
        return self.vector // bytes_each


PORTABLE = {  # levels to emit for besides the machine at hand
    "x86-64-v2": Target("x86_64-unknown-linux-gnu", "x86-64-v2", "", 16, 16, False, False),
    "x86-64-v3": Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 32, 16, True, False),
    "x86-64-v4": Target("x86_64-unknown-linux-gnu", "x86-64-v4", "", 64, 32, True, True),
    "aarch64": Target("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32, True, False),
}


@functools.cache
def host() -> Target:
    """The machine this runs on."""
    with undivided:
        import llvmlite.binding as llvm

        have, name = llvm.get_host_cpu_features(), llvm.get_host_cpu_name()
        triple = llvm.get_process_triple()
    if triple.startswith(("x86_64", "amd64", "i686")):
        wide = all(have.get(f) for f in ("avx512f", "avx512vl", "avx512bw", "avx512dq"))
        vector = 64 if wide else 32 if have.get("avx2") else 16
        registers, fma, masks = 32 if wide else 16, bool(have.get("fma")), wide
    else:
        vector, registers, fma, masks = 16, 32, True, False
    return Target(triple, name, have.flatten(), vector, registers, fma, masks)
