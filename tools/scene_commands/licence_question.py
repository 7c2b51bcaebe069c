"""Asks a person whether a model's licence is accepted, and writes down the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import SceneModel
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.licences import Licence, licence_of, refuse_forbidden_use
from edgewatch.pipeline.scenes.models.lock import Acceptance, ModelsLock

Ask = Callable[[str], str]


def accepted_licence(
    model: SceneModel,
    folder: ModelFolder,
    *,
    named: str | None,
    contract: str | None,
    ask: Ask | None,
) -> Acceptance:
    """Return the record of an acceptance, old or made now. Raises SceneRefused, OSError.

    `named`: what `--accept-licence` said. `contract`: the setting `dev_commercial_licence`.
    `ask`: puts a question to a person; None: there is none.
    """
    licence = licence_of(model)
    refuse_forbidden_use(model, contract)
    if named is not None and named != licence.key:
        raise SceneRefused(
            f"--accept-licence {named}: the licence of {model.name} is {licence.key} "
            f"({licence.name}, {licence.read_at}). Read it, and name it"
        )
    lock = ModelsLock(folder.lock_file)
    before = lock.acceptance(model.name)
    if (
        before is not None
        and before.licence == licence.key
        and before.contract == _contract(licence, contract)
    ):
        return before
    sys.stderr.write(licence_text(model, licence))
    how = _how(model, licence, named, ask)
    return lock.accept(
        model.name, licence.key, how=how, repo=model.repo, contract=_contract(licence, contract)
    )


def licence_text(model: SceneModel, licence: Licence) -> str:
    """Return what a person is shown of a licence."""
    lines = [f"{model.title}", f"licence: {licence.name}", f"read it: {licence.read_at}"]
    return "\n".join([*lines, *(f"  - {sentence}" for sentence in licence.summary)]) + "\n"


def _how(model: SceneModel, licence: Licence, named: str | None, ask: Ask | None) -> str:
    if licence.forbids_surveillance:
        return "settings"
    if named is not None:
        return "option"
    if ask is not None:
        answer = ask(f"Have you read the licence of {model.name}, and do you accept it? [yes/no] ")
        if answer.strip().lower() == "yes":
            return "asked"
        raise SceneRefused(f"the licence of {model.name} was not accepted; nothing was fetched")
    raise SceneRefused(
        f"the licence of {model.name} was not accepted. Read it ({licence.read_at}), then: "
        f"edgewatch scenes fetch {model.name} --accept-licence {licence.key}"
    )


def _contract(licence: Licence, contract: str | None) -> str | None:
    return contract if licence.forbids_surveillance else None
