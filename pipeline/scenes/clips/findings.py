"""Findings: what a clip's examination came to, check by check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

CheckName = Literal[
    "sidecar", "video", "truth", "pictures", "order", "codec", "rendering", "survival"
]
"""sidecar: the clip is known and its recipe can be read; video: the file is the one that was
written; truth: so is the truth file, a line a picture; pictures: as many as were written decode;
rendering: the recipe drawn again gives the same pixels and truth; codec: decoded pictures are those
but for the codec's loss; order: each is nearest to its own number; survival: the incident can be
seen in what was decoded, from its first picture to its last."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing examined."""

    name: CheckName
    passed: bool
    says: str
    """For people: the figures, or what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ClipFindings:
    """All that was found of one clip."""

    path: Path
    clip_id: str
    """Empty if the sidecar cannot be read."""
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the clip may be used."""
        return all(check.passed for check in self.checks)

    @property
    def trouble(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        return "; ".join(f"{one.name}: {one.says}" for one in self.checks if not one.passed)

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "file": self.path.name,
            "id": self.clip_id or None,
            "passed": self.passed,
            "checks": [
                {"name": one.name, "passed": one.passed, "says": one.says} for one in self.checks
            ],
        }
