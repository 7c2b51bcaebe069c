"""The table of families: which model types there are, and what runs each. Pure."""

from __future__ import annotations

from edgewatch.pipeline.engines.families.chat_rows import CHAT_FAMILIES
from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.other_rows import OTHER_FAMILIES
from edgewatch.pipeline.errors import EngineFailed

__all__ = ["FAMILIES", "Family", "family_of"]

FAMILIES: tuple[Family, ...] = (*CHAT_FAMILIES, *OTHER_FAMILIES)

_OF_TYPE = {model_type: family for family in FAMILIES for model_type in family.model_types}


def family_of(model_type: str) -> Family:
    """Return the family of config.json's `model_type`. Raises EngineFailed listing the known."""
    family = _OF_TYPE.get(model_type)
    if family is None:
        known = (
            f"{one.name} ({', '.join(one.model_types)})"
            for one in FAMILIES
            if one.runs == "transformers"
        )
        raise EngineFailed(
            f"models of type {model_type!r} are not known to edgewatch",
            'serve it with vLLM and set [engine] kind = "remote", or take one of the known '
            f"families: {', '.join(known)}",
        )
    return family
