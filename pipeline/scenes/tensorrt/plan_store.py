"""Plan store: TensorRT plans on disk, each in a folder named by its key, whole or not there.

    <root>/<key>/plan        the plan
    <root>/<key>/meta.json   all that the key was made of, sha256 and size, seconds, tensors

A plan appears by one rename after everything in it is on the disk; what a crash leaves begins with
a dot, is seen by nobody and is cleared by the next who builds the same plan. So does the lock
that is held meanwhile, which goes with the build.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.json_file import read_json, write_json
from edgewatch.pipeline.scenes.tensorrt.export_folder import file_sha256
from edgewatch.pipeline.scenes.tensorrt.plan_key import PlanIdentity, differences

PLAN, META = "plan", "meta.json"

Write = Callable[[Path], Mapping[str, Any]]
"""Builds into a path; returns what else is worth noting (seconds, tensors, ...)."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan that is there; its content is checked when it is opened."""

    path: Path
    meta: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """Return what the plan takes on disk, which is about what its weights take loaded."""
        return int(self.meta["plan_bytes"])


class PlanStore:
    """The plans below one folder. Several processes may read; one builds a plan at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, identity: PlanIdentity) -> StoredPlan | None:
        """Return a plan, None without it. Raises SceneUnavailable for one that is damaged.

        Its size is compared here, its sha256 by `verify`.
        """
        folder = self._root / identity.key
        if not folder.is_dir():
            return None
        try:
            meta = read_json(folder / META)
        except SceneRefused:
            meta = {}
        plan = folder / PLAN
        size = plan.stat().st_size if plan.is_file() else -1
        wanted = identity.as_json()
        if size < 0 or meta.get("identity") != wanted or meta.get("plan_bytes") != size:
            raise _damaged(identity)
        return StoredPlan(plan, meta)

    def require(self, identity: PlanIdentity) -> StoredPlan:
        """Return a plan. Raises SceneUnavailable: none, or only one of another machine."""
        if (found := self.find(identity)) is not None:
            return found
        part, wanted = identity.recipe.part, identity.as_json()
        others = [
            meta["identity"]["machine"]
            for meta in self.metas()
            if meta["identity"]["recipe"] == wanted["recipe"]
        ]
        if others:
            reasons = "; ".join(differences(wanted["machine"], others[0]))
            raise SceneUnavailable(
                f"the plan of {part} here was built for another machine ({reasons}) and does not "
                f"run on this one: edgewatch scenes build {_options(identity)}"
            )
        raise SceneUnavailable(
            f"there is no plan of {part} for this size, precision and machine: edgewatch scenes "
            f"build {_options(identity)}"
        )

    def verify(self, identity: PlanIdentity, plan: StoredPlan) -> None:
        """Read all of a plan. Raises SceneUnavailable if it is not what was written."""
        if file_sha256(plan.path) != plan.meta.get("plan_sha256"):
            raise _damaged(identity)

    def build(self, identity: PlanIdentity, write: Write) -> StoredPlan:
        """Return the plan, built if it is not there or damaged; wait for whoever builds it now.

        `write` may raise: then nothing is left that anybody would see.
        """
        with self._locked(identity.key):
            try:
                if (found := self.find(identity)) is not None:
                    self.verify(identity, found)
                    return found
            except SceneUnavailable:
                pass  # damaged: built anew, in its place
            return self._write(identity, write)

    def places(self, identity: PlanIdentity) -> tuple[Path, ...]:
        """Return every file that a build of this plan may write, whether it ends or is cut."""
        key = identity.key
        folders = (self._root / key, self._root / f".{key}.new")
        files = (folder / name for folder in folders for name in (PLAN, META))
        return (*files, self._lock_file(key))

    def metas(self) -> Iterator[Mapping[str, Any]]:
        """Go through what is known of all plans, in the order of their keys."""
        for folder in sorted(self._root.glob("[0-9a-f]*")):
            try:
                meta = read_json(folder / META)
                recipe, machine = meta["identity"]["recipe"], meta["identity"]["machine"]
            except (SceneRefused, KeyError, TypeError, NotADirectoryError):
                continue
            if isinstance(recipe, dict) and isinstance(machine, dict):
                yield meta

    def _write(self, identity: PlanIdentity, write: Write) -> StoredPlan:
        new, target = self._root / f".{identity.key}.new", self._root / identity.key
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            noted = write(new / PLAN)
            _sync(new / PLAN)
            meta = {
                **noted,
                "identity": identity.as_json(),
                "plan_bytes": (new / PLAN).stat().st_size,
                "plan_sha256": file_sha256(new / PLAN),
            }
            write_json(new / META, meta)
            _sync(new)
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)
            _sync(self._root)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return StoredPlan(target / PLAN, meta)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        lock = self._lock_file(key)
        held = _lock(lock)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)  # while it is held: who waits for it looks again
            os.close(held)

    def _lock_file(self, key: str) -> Path:
        return self._root / f".{key}.lock"


def _lock(path: Path) -> int:
    """Hold a lock file and return it open; one that was removed meanwhile counts for nothing."""
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(held), path.stat()):
                return held
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(held)
            raise
        os.close(held)


def _damaged(identity: PlanIdentity) -> SceneUnavailable:
    return SceneUnavailable(
        f"the plan of {identity.recipe.part} is damaged: edgewatch scenes build "
        f"{_options(identity)} makes it anew"
    )


def _options(identity: PlanIdentity) -> str:
    recipe = identity.recipe
    return f"--model {recipe.model} --precision {recipe.precision}"


def _sync(path: Path) -> None:
    held = os.open(path, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
