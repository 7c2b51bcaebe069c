"""Fetching a model: all of it in a side folder, proved, and then under its name at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel
from edgewatch.pipeline.scenes.models.download import Download, Progress
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.held_folder import HeldFolder
from edgewatch.pipeline.scenes.models.hub import Hub, Patience
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.models.manifest import Manifest, OwnedFile
from edgewatch.pipeline.scenes.models.origins import refuse_open_token
from edgewatch.pipeline.scenes.models.part import part_paths, proved_sha256
from edgewatch.pipeline.scenes.models.room import free_bytes, refuse_without_room
from edgewatch.pipeline.scenes.models.selection import (
    RemoteFile,
    wanted_onnx,
    wanted_side_files,
    wanted_weights,
)
from edgewatch.pipeline.scenes.token_file import read_token


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, from where."""

    model: SceneModel
    folder: ModelFolder
    hub_url: str
    onnx: Precision | None = None
    """Ready ONNX exports of this precision, instead of the weights."""
    token_file: Path | None = None
    ca_file: Path | None = None
    patience: Patience = field(default_factory=Patience)
    room_bytes: Callable[[Path], int] = free_bytes
    """What is free where a folder is."""

    @property
    def repo(self) -> str:
        """The repository. Raises SceneRefused if there are no such exports."""
        if self.onnx is None:
            return self.model.repo
        if self.model.onnx_repo is None or self.onnx not in self.model.onnx_precisions:
            ready = ", ".join(self.model.onnx_precisions) or "none"
            raise SceneRefused(
                f"there are no ready ONNX exports of {self.model.name} in {self.onnx} (ready: "
                f"{ready}). Export it here: edgewatch scenes build {self.model.name}"
            )
        return self.model.onnx_repo

    @property
    def what(self) -> str:
        """Its name in models.lock."""
        return "weights" if self.onnx is None else f"onnx-{self.onnx}"

    @property
    def target(self) -> Path:
        """The folder it becomes."""
        if self.onnx is None:
            return self.folder.model_dir(self.model)
        return self.folder.onnx_dir(self.model, self.onnx)

    @property
    def staging(self) -> Path:
        """Where it lies until it is complete."""
        return self.folder.incoming / f"{self.model.name}.{self.what}"

    @property
    def old(self) -> Path:
        """Where the revision goes that it replaces, for a moment."""
        return self.folder.incoming / f"{self.model.name}.{self.what}.old"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is there now."""

    repo: str
    revision: str
    target: Path
    files: int
    size_bytes: int
    here_already: bool
    """All of it was there, in this revision."""


def fetch(order: Order, progress: Progress) -> Fetched:
    """Fetch what is missing of an order. Raises SceneError, OSError.

    Nothing appears under `target` unless all of it is there and proved; what came of it before an
    error stays in `incoming`, and the next fetch goes on with it.
    """
    repo = order.repo
    token = None
    if order.token_file is not None:
        refuse_open_token(order.hub_url, "[scenes] token_file")
        token = read_token(order.token_file, "[scenes] token_file")
    context = _trust(order.ca_file)
    with HeldFolder(order.folder):
        return asyncio.run(_fetch(order, repo, token, context, progress))


async def _fetch(
    order: Order, repo: str, token: str | None, context: ssl.SSLContext, progress: Progress
) -> Fetched:
    patience = order.patience
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=patience.connect_seconds, sock_read=patience.silence_seconds
    )
    connector = aiohttp.TCPConnector(ssl=context)
    token_file = str(order.token_file) if order.token_file else None
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        hub = Hub(session, order.hub_url, token, token_file, patience, progress.note)
        revision = await hub.revision(repo)
        listed = await hub.listing(repo, revision)
        first = Download(hub, repo, revision, progress)
        if order.onnx is None:
            sources = dict.fromkeys(wanted_weights(order.model, listed), first)
        else:
            sources = dict.fromkeys(wanted_onnx(order.model, order.onnx, listed), first)
            sources |= await _side_files(order, hub, progress)
        wanted = tuple(sources)
        if _is_here(order, revision, wanted):
            return _fetched(order, repo, revision, wanted, here_already=True)
        _refuse_foreign(order)
        _clear(order, wanted)
        proved = await asyncio.to_thread(_take_over, order, wanted, progress)
        await _download(order, sources, proved, progress)
    _publish(order, repo, revision, wanted, proved)
    return _fetched(order, repo, revision, wanted, here_already=False)


async def _side_files(order: Order, hub: Hub, progress: Progress) -> dict[RemoteFile, Download]:
    """Return what exports lack: tokenizers and configurations, from the weights' repository."""
    revision = await hub.revision(order.model.repo)
    listed = await hub.listing(order.model.repo, revision)
    download = Download(hub, order.model.repo, revision, progress)
    return dict.fromkeys(wanted_side_files(order.model, listed), download)


async def _download(
    order: Order,
    sources: Mapping[RemoteFile, Download],
    proved: dict[str, str],
    progress: Progress,
) -> None:
    """Bring `proved` (path to sha256) to completion."""
    missing = [file for file in sources if file.path not in proved]
    total_bytes = sum(file.size_bytes for file in sources)
    parts_bytes = sum(_part_bytes(order.staging / file.path) for file in missing)
    needed_bytes = sum(file.size_bytes for file in missing) - parts_bytes
    refuse_without_room(order.folder.root, needed_bytes, order.room_bytes(order.folder.root))
    progress.plan(f"{order.model.name} {order.what}", total_bytes, total_bytes - needed_bytes)
    Manifest(order.folder).add(_incoming_entries(order, missing))
    for file in missing:
        proved[file.path] = await sources[file].fetch(file, order.staging / file.path)


def _is_here(order: Order, revision: str, wanted: Sequence[RemoteFile]) -> bool:
    noted = ModelsLock(order.folder.lock_file).fetched(order.model.name, order.what)
    return (
        noted is not None
        and noted.revision == revision
        and all(_size_of(order.target / file.path) == file.size_bytes for file in wanted)
    )


def _clear(order: Order, wanted: Sequence[RemoteFile]) -> None:
    """Remove what an earlier fetch began of files that are not wanted any more."""
    kept = {entry.path for entry in _incoming_entries(order, wanted)}
    listed = _listed_below(order, order.staging)
    stale = [file.path for file in listed if file.path not in kept]
    for path in stale:
        (order.folder.root / path).unlink(missing_ok=True)
    if stale:
        Manifest(order.folder).remove(stale)


def _take_over(order: Order, wanted: Sequence[RemoteFile], progress: Progress) -> dict[str, str]:
    """Prove what is here of the wanted: fetched before, or part of another precision or revision.

    Returns path to sha256. The same content takes its place twice, but its room once (hard link).
    """
    known = {file.sha256: file for file in Manifest(order.folder).files() if file.sha256}
    proved: dict[str, str] = {}
    for file in wanted:
        target = order.staging / file.path
        if target.is_symlink():
            target.unlink()
        if not target.exists() and file.sha256 in known:
            _link(order.folder.root / known[file.sha256].path, target)
        if not target.exists():
            continue
        progress.file(file.path)
        if sha256 := proved_sha256(target, file):
            proved[file.path] = sha256
        else:
            target.unlink()
    return proved


def _link(source: Path, target: Path) -> None:
    """Make a second name of a file, where the disk can; else it is fetched."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not source.is_symlink():
            os.link(source, target)
    except OSError:
        return


def _publish(
    order: Order, repo: str, revision: str, wanted: Sequence[RemoteFile], proved: dict[str, str]
) -> None:
    """Give the folder its name. A crash on the way leaves the old one, or none; never a half."""
    manifest = Manifest(order.folder)
    kind = "weights" if order.onnx is None else "onnx"
    owned = [
        OwnedFile(
            f"{_inside(order, order.target)}/{file.path}",
            order.model.name,
            kind,
            file.size_bytes,
            proved[file.path],
        )
        for file in wanted
    ]
    _remove_old(order)
    before = _listed_below(order, order.target)
    old = [replace(file, path=_moved(order, file.path), what="incoming") for file in before]
    manifest.add([*owned, *old])
    order.target.parent.mkdir(parents=True, exist_ok=True)
    if order.target.exists():
        order.target.replace(order.old)
    order.staging.replace(order.target)
    _sync_folder(order.target.parent)
    manifest.replace(_inside(order, order.target), owned)
    manifest.replace(_inside(order, order.staging), [])
    _remove_old(order)
    files = {file.path: {"bytes": file.size_bytes, "sha256": proved[file.path]} for file in wanted}
    ModelsLock(order.folder.lock_file).note_fetched(
        order.model.name, order.what, repo=repo, revision=revision, files=files
    )


def _refuse_foreign(order: Order) -> None:
    """Refuse to take a folder's place that holds what is not ours. Raises SceneRefused."""
    if order.target.is_symlink():
        raise SceneRefused(
            f"{order.target} is a link. Remove it, and set [scenes] dir to the folder of choice"
        )
    ours = {order.folder.root / file.path for file in _listed_below(order, order.target)}
    for folder, _, names in os.walk(order.target):
        for name in names:
            if Path(folder, name) not in ours:
                raise SceneRefused(
                    f"{Path(folder, name)} was not put there by edgewatch, and what is fetched is "
                    "to take that folder's place. Move it elsewhere, and run it again"
                )


def _remove_old(order: Order) -> None:
    """Remove the revision that was replaced, now or before a crash."""
    listed = _listed_below(order, order.old)
    for file in listed:
        (order.folder.root / file.path).unlink(missing_ok=True)
    for folder, _, _ in os.walk(order.old, topdown=False):
        with contextlib.suppress(OSError):  # somebody put something in: it is theirs
            os.rmdir(folder)
    if listed:
        Manifest(order.folder).replace(_inside(order, order.old), [])


def _listed_below(order: Order, folder: Path) -> list[OwnedFile]:
    inside = f"{_inside(order, folder)}/"
    return [file for file in Manifest(order.folder).files() if file.path.startswith(inside)]


def _moved(order: Order, path: str) -> str:
    return _inside(order, order.old) + path.removeprefix(_inside(order, order.target))


def _incoming_entries(order: Order, wanted: Sequence[RemoteFile]) -> list[OwnedFile]:
    return [
        OwnedFile(_inside(order, path), order.model.name, "incoming", file.size_bytes)
        for file in wanted
        for path in (order.staging / file.path, *part_paths(order.staging / file.path))
    ]


def _fetched(
    order: Order, repo: str, revision: str, wanted: Sequence[RemoteFile], *, here_already: bool
) -> Fetched:
    size_bytes = sum(file.size_bytes for file in wanted)
    return Fetched(repo, revision, order.target, len(wanted), size_bytes, here_already)


def _inside(order: Order, path: Path) -> str:
    return path.relative_to(order.folder.root).as_posix()


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _part_bytes(target: Path) -> int:
    return max(0, _size_of(part_paths(target)[0]))


def _sync_folder(folder: Path) -> None:
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise SceneUnavailable(
            f"[scenes] ca_file: {ca_file} holds no certificates (PEM) that can be read"
        ) from None
