"""The table of forms: which module makes a family's inputs; imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

from edgewatch.pipeline.engines.transformers.general.form import FamilyForm, Source
from edgewatch.pipeline.errors import EngineFailed

_HERE = "edgewatch.pipeline.engines.transformers.general"

MAKERS = {
    "blip-2": "blip2",
    "fuyu": "fuyu",
    "gemma3": "chat",
    "gemma3n": "chat",
    "internvl": "internvl",
    "kosmos-2": "kosmos2",
    "llava": "chat",
    "llava_next": "chat",
    "llava_onevision": "llava_onevision",
    "mllama": "chat",
    "phi4_multimodal": "phi4",
    "pix2struct": "pages",
    "qwen2_vl": "qwen_vl",
    "qwen3_vl": "qwen_vl",
    "vision-encoder-decoder": "pages",
}
"""Model type to the module beside this one that has its `make_form`."""


def make_form(source: Source) -> FamilyForm:
    """Make the form of a checkpoint's family. Raises EngineFailed if its files do not do."""
    name = MAKERS.get(str(source.config.get("model_type")))
    if name is None:
        raise EngineFailed(f"{source.family.name} does not run in transformers")
    form: FamilyForm = import_module(f"{_HERE}.{name}").make_form(source)
    return form
