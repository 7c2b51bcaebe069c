"""A checkpoint of any family: its row of the table, its hash, and whether it can be loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.families.family import Family
from edgewatch.pipeline.engines.families.table import family_of
from edgewatch.pipeline.engines.qwen.quantisation import Quantisation, quantisation_of
from edgewatch.pipeline.engines.qwen.weights import check_weights
from edgewatch.pipeline.engines.transformers.general.files import read_object
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.weight_signs import weight_signs
from edgewatch.pipeline.errors import EngineFailed

_READ_TOO = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What an answer depends on beside the weights; those that are there."""


@dataclass(frozen=True, slots=True)
class GeneralCheckpoint:
    """A directory that was looked through and can be loaded."""

    directory: Path
    family: Family
    config: dict[str, Any]
    hash: str
    """First 8 digits of a SHA-256 of the files above and of `weight_signs`."""
    quantisation: Quantisation | None

    @property
    def name(self) -> str:
        """Directory and hash: "Qwen3-VL-8B-Instruct@1a2b3c4d"."""
        return f"{self.directory.name}@{self.hash}"

    @property
    def source(self) -> Source:
        """What its family's form is made of."""
        return Source(self.family, self.directory, self.config)


def model_type_of(directory: Path) -> str | None:
    """Return config.json's model type; None if there is no such file, or it names none.

    Raises EngineFailed if the file is broken.
    """
    found = read_object(directory / "config.json").get("model_type")
    return found if isinstance(found, str) else None


def read_general(directory: Path) -> GeneralCheckpoint:
    """Look a directory through. Raises EngineFailed with what is wrong and the cure."""
    config = read_object(directory / "config.json")
    family = family_of(str(config.get("model_type")))
    if family.runs != "transformers":
        raise EngineFailed(
            f"{directory} is {family.name}, which transformers has no class of"
            + (f" ({family.note})" if family.note else ""),
            f"serve it with {' or '.join(family.servers) or 'such a server'} and set [engine] "
            f'kind = "{family.runs}", send = "{family.send}" (docs/families.md)',
        )
    check_weights(directory)
    return GeneralCheckpoint(
        directory=directory,
        family=family,
        config=config,
        hash=_hash(directory),
        quantisation=quantisation_of(directory, config),
    )


def _hash(directory: Path) -> str:
    digest = hashlib.sha256()
    for name in _READ_TOO:
        if (directory / name).is_file():
            digest.update(f"{name}\n".encode())
            digest.update((directory / name).read_bytes())
    for sign in weight_signs(directory):
        digest.update(sign)
    return digest.hexdigest()[:8]
