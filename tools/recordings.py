"""Recordings: the video files that paths, folders and globs name, each under a camera's name."""

from __future__ import annotations

import glob
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgewatch.pipeline.messages import RESERVED_CAMERA_NAMES
from edgewatch.pipeline.types import CameraName

VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("3gp", "asf", "avi", "dav", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mts", "ogv"),
        *("ts", "vob", "webm", "wmv", "mjpeg", "mjpg", "mpeg", "mpg"),
        *("264", "265", "h264", "h265", "hevc"),
    )
)
"""What counts as video inside a folder; a file named by itself is tried whatever it is called."""

CAMERA_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Recording:
    """One video file to replay."""

    path: Path
    camera: CameraName
    """From the file's name, made fit (`[a-z0-9_-]+`) and unique among the recordings found."""
    name: str
    """For people and reports: the path below the folder that all recordings share; printable."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """A path that led to no recording, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the given paths led to; every given path is in one of the two."""

    recordings: tuple[Recording, ...]
    failed: tuple[NotFound, ...]


def find_recordings(paths: Sequence[str]) -> Found:
    """Expand files, folders (with their sub-folders) and globs, in the order given.

    Within a folder or glob the order is natural ("clip2" before "clip10"). A file reached twice
    is one recording. A path that leads nowhere is listed in `failed`; the others are not affected.
    """
    search = _Search()
    for path in paths:
        search.add(path)
    return Found(tuple(_named(search.files)), tuple(search.failed))


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts "clip2" before "clip10", without regard to case."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((0, int(p), p) if p[0] in "0123456789" else (1, 0, p.casefold()) for p in parts)


def printable(text: str) -> str:
    """Replace what cannot be shown or encoded: control characters and broken UTF-8."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


@dataclass(slots=True)
class _Search:
    """The files found so far, in order, and the paths that led nowhere."""

    files: list[str] = field(default_factory=list)
    failed: list[NotFound] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def add(self, path: str) -> None:
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", path):
            # The rest of a URL may hold a password and is not repeated.
            scheme = path.partition("://")[0]
            self._fail(
                f"{scheme}://…",
                "is a stream, not a recording: put it under [[cameras]] and start edgewatch run",
            )
            return
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and glob.has_magic(path):
                self._add_glob(path)
            else:
                self._fail(path, _reason(error))
            return
        if stat.S_ISDIR(mode):
            self._add_folder(path)
        elif stat.S_ISREG(mode):
            self._add_file(path)
        else:
            self._fail(path, "is neither a file nor a folder")

    def _add_file(self, path: str) -> None:
        real = os.path.realpath(path)
        if real not in self._seen:
            self._seen.add(real)
            self.files.append(path)

    def _add_folder(self, path: str) -> None:
        videos = list(_videos_in(path, self._fail_walk))
        for video in videos:
            self._add_file(video)
        if not videos and os.access(path, os.R_OK | os.X_OK):
            self._fail(path, "holds no video file; name the files if their endings are unusual")

    def _add_glob(self, pattern: str) -> None:
        matches = sorted(glob.glob(pattern, recursive=True), key=natural_key)
        # "*" also matches a label file beside the videos; "*.dat" says that .dat is meant.
        any_file = bool(suffix := Path(pattern).suffix) and not glob.has_magic(suffix)
        taken = [one for one in matches if os.path.isdir(one) or any_file or _is_video(one)]
        for match in taken:
            self.add(match)
        if not taken:
            self._fail(pattern, "matches no video file")

    def _fail_walk(self, error: OSError) -> None:
        self._fail(os.fsdecode(error.filename), _reason(error))

    def _fail(self, path: str, reason: str) -> None:
        self.failed.append(NotFound(printable(path), reason))


def _videos_in(folder: str, on_error: Callable[[OSError], None]) -> Iterator[str]:
    """Yield the videos below a folder, in natural order, hidden files and folders left out."""
    for parent, folders, files in os.walk(folder, onerror=on_error):
        folders[:] = sorted((one for one in folders if one[0] != "."), key=natural_key)
        for file in sorted(files, key=natural_key):
            path = os.path.join(parent, file)
            if file[0] != "." and _is_video(file) and os.path.isfile(path):
                yield path


def _is_video(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def _reason(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "does not exist; check the path"
        case PermissionError():
            return "may not be read; check its permissions"
        case OSError():
            return f"cannot be read: {error.strerror or error}"
    return "is no path"


def _named(files: Sequence[str]) -> Iterator[Recording]:
    """Give each file its camera's name and its name for people."""
    absolute = [os.path.abspath(file) for file in files]
    shared = os.path.commonpath([os.path.dirname(one) for one in absolute]) if absolute else ""
    cameras = _unique(camera_name(Path(file).stem) for file in files)
    for file, full, camera in zip(files, absolute, cameras, strict=True):
        yield Recording(Path(file), camera, printable(os.path.relpath(full, shared)))


def camera_name(text: str) -> CameraName:
    """Make any text a camera name: `[a-z0-9_-]+`, at most 64 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:CAMERA_NAME_CHARACTERS].strip("-")
    return CameraName(name or "recording")


def _unique(names: Iterable[CameraName]) -> Iterator[CameraName]:
    """Number the second and later of equal names, and those that topics keep: front, front-2."""
    taken: set[str] = set(RESERVED_CAMERA_NAMES)
    for name in names:
        free, number = name, 1
        while free in taken:
            number += 1
            ending = f"-{number}"
            free = CameraName(name[: CAMERA_NAME_CHARACTERS - len(ending)] + ending)
        taken.add(free)
        yield free
