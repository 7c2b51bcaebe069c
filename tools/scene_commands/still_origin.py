"""Where a still came from: what `scenes make` wrote beside it, or nothing is known."""

from __future__ import annotations

from pathlib import Path

from edgewatch.pipeline.scenes.clips.sidecar import PHOTOGRAPH, Origin
from edgewatch.pipeline.scenes.json_file import read_json
from edgewatch.pipeline.scenes.models.catalogue import MODELS
from edgewatch.pipeline.scenes.models.licences import refuse_forbidden_use
from edgewatch.pipeline.scenes.still_file import png_texts


def origin_of(still: Path, dev_licence: str | None) -> Origin:
    """Read the sidecar of a still, `NAME.json` beside it; a painted one that lost it is marked.

    `dev_licence`: the setting `dev_commercial_licence`. Raises SceneRefused for what a model made
    whose licence forbids surveillance, or if the sidecar is damaged; OSError.
    """
    said = read_json(still.with_suffix(".json"))
    if not said.get("synthetic"):
        marked = png_texts(still.read_bytes()).get("synthetic") == "true"
        return Origin(backend="unknown") if marked else Origin(backend=PHOTOGRAPH)
    model = str(said.get("model") or "")
    if model in MODELS:
        refuse_forbidden_use(MODELS[model], dev_licence)
    seed = said.get("seed")
    return Origin(
        backend=str(said.get("backend") or "unknown"),
        model=model,
        licence=str(said.get("model_licence") or ""),
        precision=str(said.get("precision") or ""),
        seed=int(seed) if seed is not None else None,
        prompt_sha256=str(said.get("prompt_sha256") or ""),
    )
