"""What is broken, and the machine that is played."""

from __future__ import annotations

from dataclasses import dataclass


class ContractBroken(Exception):
    """A call that the real library would take, or answer with nonsense, and never should get."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU."""

    name: str = "NVIDIA GB10"
    compute: tuple[int, int] = (12, 1)
    free_bytes: int = 100 * 10**9
    total_bytes: int = 128 * 10**9
    integrated: bool = True
    cuda: int = 13000
    driver: int = 13000
