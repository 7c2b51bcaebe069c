"""The table: every documented family, each with something that runs it; unknown ones are told."""

from __future__ import annotations

import pytest
import transformers

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.table import FAMILIES, family_of
from edgewatch.pipeline.engines.qwen.checkpoint import MODEL_TYPE
from edgewatch.pipeline.engines.transformers.general.forms import MAKERS
from edgewatch.pipeline.errors import EngineFailed

README = (
    *("BLIP2", "CogVLM", "Deplot", "Fuyu", "Gemma3", "InternLM-XComposer2", "InternVL2"),
    *("Kosmos-2", "LLaVA", "MLLaMA", "NeVA", "Nougat", "Phi-3-vision", "Phi-4-multimodal"),
    *("Qwen2-VL", "VILA", "Video NeVA"),
)
"""The families of TensorRT-LLM's multimodal README."""


def test_all_17_families_of_the_readme_are_there() -> None:
    assert len(README) == 17
    assert {family.readme_name for family in FAMILIES if family.readme} == set(README)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_row_names_what_runs_it(family: Family) -> None:
    """A class that the library has, with a module that makes its inputs; else another engine."""
    assert family.model_types
    assert family.media in ("video", "images", "image", "page")
    if family.runs != "transformers":
        assert family.transformers_class == ""
        return
    assert hasattr(transformers, family.transformers_class)
    assert set(family.model_types) <= {*MAKERS, MODEL_TYPE}
    assert (family.limits.frames == 1) == (family.media in ("image", "page"))


def test_no_model_type_is_of_two_families() -> None:
    types = [model_type for family in FAMILIES for model_type in family.model_types]
    assert len(set(types)) == len(types)
    assert all(family_of(one) in FAMILIES for one in types)


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(EngineFailed, match="'florence2' are not known") as caught:
        family_of("florence2")
    for family in FAMILIES:
        known = f"{family.name} ({', '.join(family.model_types)})"
        assert (known in caught.value.cure) == (family.runs == "transformers")
