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


def free_of_control(text: str) -> str:
    """Let text pass that is to stand in a model's prompt. Raises BrokenRule.

    `<|...|>` would open a role or a picture of its own in the prompts of most models.
    """
    if "<|" in text or "|>" in text:
        broken("holds '<|' or '|>', which control models", "Write it in plain words")
    if any(ord(sign) < 32 and sign not in "\n\t" for sign in text):
        broken("holds a control character", "Write it in plain words")
    return text
