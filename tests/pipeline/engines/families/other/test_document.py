"""The table and its page say the same, and nothing is left out of either."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.families.document import families_text
from edgewatch.pipeline.engines.families.table import FAMILIES, family_of
from edgewatch.pipeline.errors import EngineFailed

PAGE = Path(__file__).parents[5] / "docs" / "families.md"
README = (
    *("BLIP2", "CogVLM", "Deplot", "Fuyu", "Gemma3", "InternLM-XComposer2", "InternVL2"),
    *("Kosmos-2", "LLaVA", "VILA", "MLLaMA", "NeVA", "Nougat", "Phi-3-vision"),
    *("Phi-4-multimodal", "Qwen2-VL", "Video NeVA"),
)
"""The families of TensorRT-LLM's multimodal README (examples/models/core/multimodal)."""


def test_the_page_holds_the_table_as_it_is() -> None:
    """Print it anew with python -m edgewatch.pipeline.engines.families.document."""
    assert families_text() in PAGE.read_text("utf-8")


def test_each_of_the_17_documented_families_is_in_the_table() -> None:
    assert len(README) == 17
    assert {family.readme_name for family in FAMILIES if family.readme} == set(README)
    table = families_text()
    assert all(name in table for name in README)


def test_each_row_says_how_it_is_run() -> None:
    kinds = [one for family in FAMILIES for one in family.model_types]
    assert len(kinds) == len(set(kinds))
    for family in FAMILIES:
        assert family_of(family.model_types[0]) is family
        assert (family.runs == "transformers") == bool(family.transformers_class)
        assert family.prompt_form
        assert family.members
        assert family.limits.frames == 1 or family.media in ("video", "images")
        if family.media == "page":
            assert family.answers == "words"


@pytest.mark.skipif(find_spec("transformers") is None, reason="needs transformers")
def test_the_library_has_the_classes_that_rows_name_and_none_of_the_others() -> None:
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    for family in FAMILIES:
        if family.transformers_class:
            assert hasattr(transformers, family.transformers_class), family.name
        else:
            assert not set(family.model_types) & set(CONFIG_MAPPING_NAMES), family.name


def test_an_unknown_architecture_is_refused_naming_the_known() -> None:
    with pytest.raises(EngineFailed, match="'unheard_of'") as refused:
        family_of("unheard_of")
    for family in FAMILIES:
        if family.runs == "transformers":
            assert family.name in str(refused.value)
