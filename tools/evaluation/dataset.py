"""A data set: labelled recordings below a folder, with the drives whose views they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.drives import Place, places
from edgewatch.tools.labels import (
    Labels,
    RecordingLabel,
    has_label_columns,
    label_of_name,
    read_labels,
)
from edgewatch.tools.recordings import NotFound, Recording, find_recordings, printable

NO_LABEL = "has no label: give it a row in the label CSV, or a name that begins with Anom_ or Norm_"


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """One recording to judge, and what is known of it."""

    recording: Recording
    label: RecordingLabel
    """Its drive and view are those of the CSV, else of the folders."""

    @property
    def name(self) -> str:
        """For people; unique in the data set."""
        return self.recording.name

    @property
    def fingerprint(self) -> str:
        """Tells a file from a changed one, without reading it: size and time of change.

        Raises OSError.
        """
        about = os.stat(self.recording.path)
        return f"{about.st_size}-{about.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled recordings, in the order in which they are judged."""

    name: str
    """As it was named."""
    recordings: tuple[LabelledRecording, ...]
    failed: tuple[NotFound, ...] = ()
    """Recordings without a label, rows without a file, paths that lead nowhere; and why."""


def read_dataset(path: Path, labels: Path | None = None) -> Dataset:
    """Read a folder of recordings; `labels` is a CSV, None: the folder's own, else file names.

    The folder's own is the one CSV in it that has the columns file and label. A recording
    without a row has the label of its file's name, or of its drive's folder (`Anom_…`, `Norm_…`).
    Where `path` is a CSV itself, its recordings are those that its rows name.
    Raises ConfigError, with the cure.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        rows = read_labels(path)
        return _dataset(path, path.parent, rows.paths, rows)
    if not path.exists():
        raise ConfigError(f"{path}: does not exist; name a folder of recordings, or a label CSV")
    source = labels or (_own_labels(path) if path.is_dir() else None)
    rows = read_labels(source) if source else Labels()
    folder = path if path.is_dir() else path.parent
    return _dataset(path, folder, [os.fspath(path)], rows)


def _own_labels(folder: Path) -> Path | None:
    """Return the label CSV of a folder. Raises ConfigError if there are several."""
    try:
        names = sorted(one for one in folder.iterdir() if one.suffix.lower() == ".csv")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror or error}") from error
    found = [one for one in names if one.is_file() and has_label_columns(one)]
    if len(found) > 1:
        listed = ", ".join(one.name for one in found)
        raise ConfigError(f"{folder}: {listed} are all label files; name one with --labels")
    return found[0] if found else None


def _dataset(path: Path, folder: Path, sources: Sequence[str], rows: Labels) -> Dataset:
    found = find_recordings(sources)
    failed = list(found.failed)
    present = {os.path.realpath(one.path) for one in found.recordings}
    named = {one.name for one in failed}
    for row in rows.paths:
        if row not in present and not os.path.exists(row) and printable(row) not in named:
            moved = any(os.path.basename(one) == os.path.basename(row) for one in present)
            if not moved:
                failed.append(NotFound(printable(row), "has a label, but there is no such file"))
    below = [os.path.relpath(os.path.abspath(one.path), folder) for one in found.recordings]
    kept = []
    for recording, place in zip(found.recordings, places(below), strict=True):
        label = _label_of(recording, place, folder, rows)
        if label is None:
            failed.append(NotFound(recording.name, NO_LABEL))
        else:
            kept.append(LabelledRecording(recording, _placed(label, place)))
    return Dataset(str(path), tuple(kept), tuple(failed))


def _label_of(
    recording: Recording, place: Place, folder: Path, rows: Labels
) -> RecordingLabel | None:
    """Return a recording's own label, else that of the nearest folder that has one."""
    own = rows.for_file(recording.path)
    if own is not None:
        return own
    parent = Path(os.path.abspath(recording.path)).parent
    top = Path(os.path.abspath(folder))
    while place.drive and parent != top and top in parent.parents:
        label = rows.for_file(parent) or label_of_name(parent.name)
        if label is not None:
            return label
        parent = parent.parent
    return None


def _placed(label: RecordingLabel, place: Place) -> RecordingLabel:
    """Let the CSV's drive and view go before those of the folders."""
    if label.drive:
        return label if label.view else replace(label, view=place.view)
    return replace(label, drive=place.drive, view=label.view or place.view)
