"""The licences of models: what they ask, who accepted them, and what they forbid edgewatch.

The summaries are ours and replace no licence; `read_at` is where the text stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import MODELS, SceneModel
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.setup import SceneSetup

ASSERTION = re.compile(r"bfl-commercial:[\w./ -]*\w[\w./ -]*")
"""How the setting `dev_commercial_licence` must look."""


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence, as a person is shown it before anything is fetched."""

    key: str
    """What `--accept-licence` takes."""
    name: str
    read_at: str
    summary: tuple[str, ...]
    """Sentences."""
    forbids_surveillance: bool = False


LICENCES: Mapping[str, Licence] = {
    licence.key: licence
    for licence in (
        Licence(
            key="apache-2.0",
            name="Apache License 2.0",
            read_at="https://huggingface.co/black-forest-labs/FLUX.1-schnell",
            summary=(
                "Use, change and pass on, also commercially; keep the notices.",
                "The model's card puts out of scope, among others: breaking laws, harming minors, "
                "false information meant to harm, harassment, and decisions made by machine alone "
                "that touch a person's rights.",
                "The hub asks you to accept its terms on that page and to show a token.",
            ),
        ),
        Licence(
            key="openrail++-m",
            name="CreativeML Open RAIL++-M License, 26 July 2023",
            read_at="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/"
            "blob/main/LICENSE.md",
            summary=(
                "Use, change and pass on, also commercially; whoever gets the model or what was "
                "derived of it from you must be bound to the same restrictions (Attachment A).",
                "It may not be used to break laws; to exploit or harm minors; for verifiably false "
                "information meant to harm; for personal data that can harm someone; to defame or "
                "harass.",
                "Nor for decisions made by machine alone that touch a person's rights; to "
                "discriminate by behaviour, character or protected traits; to exploit the weakness "
                "of a group; for medical advice.",
                "Nor to generate information for the administration of justice, law enforcement, "
                "immigration or asylum, such as predicting that a person will commit a crime.",
            ),
        ),
        Licence(
            key="flux-1-dev",
            name="FLUX.1 [dev] Non-Commercial License",
            read_at="https://huggingface.co/black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
            summary=(
                "It forbids commercial and production use, and surveillance including research "
                "and development for it; the same of any data that the model produced (4 a).",
                "edgewatch is surveillance: only a written commercial licence of Black Forest Labs "
                "allows this model here.",
            ),
            forbids_surveillance=True,
        ),
    )
}


def licence_of(model: SceneModel) -> Licence:
    """Return a model's licence."""
    return LICENCES[model.licence]


def refuse_forbidden_use(model: SceneModel, dev_licence: str | None) -> None:
    """Refuse a model whose licence forbids surveillance. Raises SceneRefused, which says why.

    `dev_licence`: the setting `dev_commercial_licence`.
    """
    licence = licence_of(model)
    if not licence.forbids_surveillance or is_assertion(dev_licence):
        return
    allowed = ", ".join(
        name for name, one in MODELS.items() if not licence_of(one).forbids_surveillance
    )
    raise SceneRefused(
        f"{model.name} is refused: its licence ({licence.name}) forbids use for surveillance, "
        "the research and development for it, and the same of any data that the model produced. "
        f"Use {allowed}; or, if you hold a written commercial licence of Black Forest Labs, set "
        '[scenes] dev_commercial_licence = "bfl-commercial:<contract id>"'
    )


def is_assertion(text: str | None) -> bool:
    """Whether a text asserts a written commercial licence, with the contract's name."""
    return text is not None and ASSERTION.fullmatch(text) is not None


def check_licence(model: SceneModel, setup: SceneSetup) -> None:
    """Let a model be loaded, or asked of a server. Raises SceneRefused, with the cure.

    Of a model that a server runs (`http`), its owner has accepted the terms; what its licence
    forbids still holds for the pictures.
    """
    refuse_forbidden_use(model, setup.dev_licence)
    if setup.backend == "http":
        return
    licence = licence_of(model)
    accepted = ModelsLock(setup.folder.lock_file).acceptance(model.name)
    if accepted is None or accepted.licence != licence.key:
        raise SceneRefused(
            f"the licence of {model.name} ({licence.name}, {licence.read_at}) was not accepted "
            f"on this machine (no record in {setup.folder.lock_file}). Read it, then: edgewatch "
            f"scenes fetch {model.name} --accept-licence {licence.key}"
        )
