"""`models.lock`: which revision of what was fetched, and which licence was accepted when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgewatch.pipeline.scenes.json_file import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Acceptance:
    """That somebody accepted a model's licence."""

    licence: str
    """Key of the licence."""
    accepted_at: str
    """ISO 8601, UTC."""
    how: str
    """"option", "asked" or "settings" (a contract that the settings assert)."""
    repo: str
    contract: str | None = None
    """What the settings asserted, for FLUX.1-dev."""


@dataclass(frozen=True, slots=True)
class FetchedRevision:
    """What was fetched of one repository."""

    repo: str
    revision: str
    """The commit."""
    fetched_at: str
    files: dict[str, dict[str, Any]]
    """Path within the folder to `bytes` and `sha256`."""


class ModelsLock:
    """The records of one folder; reads and writes the file each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def acceptance(self, model: str) -> Acceptance | None:
        """Return how a model's licence was accepted; None: it was not. Raises SceneRefused."""
        record = _table(self._record(model), "licence")
        texts = {key: record.get(key) for key in ("licence", "accepted_at", "how", "repo")}
        if not all(isinstance(text, str) for text in texts.values()):
            return None
        contract = record.get("contract")
        return Acceptance(
            **{key: str(text) for key, text in texts.items()},
            contract=contract if isinstance(contract, str) else None,
        )

    def accept(
        self, model: str, licence: str, *, how: str, repo: str, contract: str | None = None
    ) -> Acceptance:
        """Write down that a licence was accepted now. Raises OSError, SceneRefused."""
        accepted = Acceptance(licence, _now(), how, repo, contract)
        record = {key: getattr(accepted, key) for key in Acceptance.__dataclass_fields__}
        self._write(model, "licence", record)
        return accepted

    def fetched(self, model: str, what: str) -> FetchedRevision | None:
        """Return what is here of a model: `what` is "weights" or "onnx-<precision>"."""
        record = _table(_table(self._record(model), "fetched"), what)
        files = _table(record, "files")
        texts = [record.get(key) for key in ("repo", "revision", "fetched_at")]
        if not all(isinstance(text, str) for text in texts):
            return None
        repo, revision, fetched_at = (str(text) for text in texts)
        return FetchedRevision(repo, revision, fetched_at, files)

    def note_fetched(
        self, model: str, what: str, *, repo: str, revision: str, files: dict[str, dict[str, Any]]
    ) -> None:
        """Write down what is here now. Raises OSError, SceneRefused."""
        record = {"repo": repo, "revision": revision, "fetched_at": _now(), "files": files}
        self._write(model, "fetched", _table(self._record(model), "fetched") | {what: record})

    def forget_fetched(self, model: str) -> None:
        """Drop what is said to be here of a model; its licence stays accepted."""
        if "fetched" in self._record(model):
            self._write(model, "fetched", {})

    def _record(self, model: str) -> dict[str, Any]:
        return _table(_table(read_json(self._path), "models"), model)

    def _write(self, model: str, key: str, value: dict[str, Any]) -> None:
        document = read_json(self._path)
        models = _table(document, "models")
        models[model] = _table(models, model) | {key: value}
        write_json(self._path, document | {"schema": SCHEMA, "models": models})


def _table(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object within an object; what is none counts as empty."""
    value = values.get(key)
    return dict(value) if isinstance(value, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
