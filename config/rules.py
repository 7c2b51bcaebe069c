"""Rules of ours beyond types and bounds: how a broken one is told."""

from __future__ import annotations

from typing import NoReturn, Self

from pydantic_core import PydanticCustomError


class BrokenRule(PydanticCustomError):
    """A rule of ours that a value breaks: what is wrong, the cure, and the key if known."""

    def __new__(cls, wrong: str, cure: str, key: str | None = None) -> Self:
        """Keep the three parts apart, for `problems` to print."""
        return super().__new__(
            cls, "broken_rule", "{wrong}", {"wrong": wrong, "cure": cure, "key": key}
        )


def broken(wrong: str, cure: str, key: str | None = None) -> NoReturn:
    """Raise BrokenRule."""
    raise BrokenRule(wrong, cure, key)
