"""The table of families as docs/families.md shows it. Pure.

`python -m edgewatch.pipeline.engines.families.document` prints it anew after a change.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.table import FAMILIES

_HEAD = (
    "Family",
    "`model_type`",
    "Run by",
    "Shown",
    "Asked",
    "Label tokens",
    "Limits",
    "README",
)
_SHOWN = {
    "video": "the clip, as a video",
    "images": "frames, as pictures",
    "image": "one frame",
    "page": "one frame, as a page",
}


def families_text() -> str:
    """Return the table in Markdown, a line a family, and after it what else is to know of each."""
    table = [_HEAD, ["---"] * len(_HEAD), *(_cells(family) for family in FAMILIES)]
    known = [_known(family) for family in FAMILIES]
    return "\n".join((*map(_line, table), "", *known)) + "\n"


def _cells(family: Family) -> tuple[str, ...]:
    frames = family.limits.frames
    limits = [f"{frames} frame{'s' * (frames > 1)}" if frames else "", family.limits.tokens]
    return (
        family.name,
        ", ".join(f"`{one}`" for one in family.model_types),
        _run_by(family),
        _SHOWN[family.media],
        family.prompt_form,
        "`answers`" if family.answers == "score" else "none: words only",
        "; ".join(one for one in limits if one) or "-",
        family.readme_name or "-",
    )


def _run_by(family: Family) -> str:
    """Say which engine runs a family, and by what."""
    if family.transformers_class:
        return f"`{family.runs}`: `{family.transformers_class}`"
    servers = " or ".join(family.servers) or "any server"
    return f'`{family.runs}`: {servers}, `send = "{family.send}"`'


def _known(family: Family) -> str:
    members = f" ({', '.join(family.members)})" if family.members else ""
    note = f": {family.note}" if family.note else ""
    return _shown(f"- **{family.name}**{members}{note}.")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_shown(cell).replace("|", "\\|") for cell in cells) + " |"


def _shown(text: str) -> str:
    """Return a text that is not taken for a tag."""
    return text.replace("<", "&lt;")


if __name__ == "__main__":
    print(families_text(), end="")  # noqa: T201 - this is what it is for
