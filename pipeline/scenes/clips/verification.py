"""Verification: is a clip what its sidecar says, and does its truth hold for what is decoded?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np

from edgewatch.pipeline.errors import SceneError, SceneInvalid
from edgewatch.pipeline.scenes.clips.clip_file import clip_paths, read_still, still_path
from edgewatch.pipeline.scenes.clips.findings import Check, CheckName, ClipFindings
from edgewatch.pipeline.scenes.clips.footage import Footage, footage_of
from edgewatch.pipeline.scenes.clips.resemblance import (
    MOST_ERROR,
    Fidelity,
    Order,
    Survival,
    luma,
)
from edgewatch.pipeline.scenes.clips.sidecar import (
    SUFFIX,
    ClipRecord,
    read_sidecar,
    sidecar_of,
    versions,
)
from edgewatch.pipeline.scenes.clips.truth_file import NORMAL, TruthLine, read_truth
from edgewatch.pipeline.scenes.clips.video import decode
from edgewatch.pipeline.scenes.truth import Mask
from edgewatch.pipeline.types import Pixels


def verify_clip(path: Path, *, on_frame: Callable[[], None] = lambda: None) -> ClipFindings:
    """Examine one clip, named by its video or its sidecar: files, pictures, order, truth.

    Draws the recipe again and decodes the video side by side, a picture at a time. Nothing wrong
    with the clip is raised: it is in the findings. `on_frame` is called after each picture.
    """
    sidecar = sidecar_of(path)
    try:
        record = read_sidecar(path)
        _check_name(sidecar, record)
    except (SceneError, OSError) as error:
        return ClipFindings(path, "", (Check("sidecar", False, str(error)),))
    examination = _Examination(sidecar.parent, record)
    checks = [Check("sidecar", True, f"schema 1, {record.label}, {record.frames} pictures")]
    checks += [examination.video_file(), examination.truth_file()]
    if all(check.passed for check in checks):
        checks += examination.pictures(on_frame)
    return ClipFindings(path, record.clip_id, tuple(checks))


def _check_name(sidecar: Path, record: ClipRecord) -> None:
    if sidecar.name != record.clip_id + SUFFIX:
        raise SceneInvalid(f"{sidecar.name}: belongs to clip {record.clip_id}: it was renamed")


@dataclass(slots=True)
class _Tally:
    """What is counted while drawn and decoded pictures go by."""

    fidelity: Fidelity = field(default_factory=Fidelity)
    order: Order = field(default_factory=Order)
    survival: Survival = field(default_factory=Survival)
    other_truth: list[int] = field(default_factory=list)
    """Pictures whose line says other than what was drawn again."""
    decoded: int = 0


class _Examination:
    """One clip whose sidecar is in order."""

    def __init__(self, folder: Path, record: ClipRecord) -> None:
        self._folder, self._record = folder, record
        self._video, self._truth, _ = clip_paths(folder, record.clip_id)

    def video_file(self) -> Check:
        return self._same_file("video", self._video, self._record.sha256)

    def truth_file(self) -> Check:
        same = self._same_file("truth", self._truth, self._record.truth_sha256)
        return same if not same.passed else self._truth_lines()

    def _same_file(self, name: CheckName, path: Path, sha256: str) -> Check:
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            size = path.stat().st_size
        except FileNotFoundError:
            return Check(name, False, f"{path.name} is missing")
        except OSError as error:
            return Check(name, False, f"{path.name} cannot be read: {error.strerror}")
        if found != sha256:
            return Check(
                name, False, f"{path.name} ({size} bytes) was cut off or altered since it was made"
            )
        return Check(name, True, f"{size} bytes, as written")

    def _truth_lines(self) -> Check:
        record = self._record
        labels: list[str] = []
        try:
            for line in read_truth(self._truth, record.recipe.size):
                expected = len(labels) / record.recipe.fps
                if line.index != len(labels) or abs(line.time_seconds - expected) > 1e-5:
                    raise SceneInvalid(f"line {len(labels) + 1} is not of picture {len(labels)}")
                labels.append(line.label)
        except (SceneError, OSError) as error:
            return Check("truth", False, str(error))
        if len(labels) != record.frames:
            says = f"{len(labels)} lines for {record.frames} pictures"
            return Check("truth", False, says)
        anomalous = [index for index, label in enumerate(labels) if label != NORMAL]
        span = (anomalous[0], anomalous[-1] + 1) if anomalous else (None, None)
        if span != (record.t0_frame, record.t_end_frame):
            return Check("truth", False, "the incident's pictures are not those of the sidecar")
        return Check("truth", True, f"{len(labels)} lines, {len(anomalous)} anomalous")

    def pictures(self, on_frame: Callable[[], None]) -> list[Check]:
        """Draw and decode all pictures side by side."""
        try:
            footage = footage_of(self._record.recipe, self._still())
        except (SceneError, OSError) as error:
            return [Check("rendering", False, str(error))]
        tally = _Tally()
        drawn_hash = hashlib.sha256()
        broken = ""
        lines = read_truth(self._truth, self._record.recipe.size)
        decoded = _Decoded(self._video)
        for index, line in zip_longest(range(footage.frame_count), lines):
            if index is None or line is None:
                break
            pixels = footage.frame(index)
            drawn_hash.update(np.ascontiguousarray(pixels).data)
            seen = decoded.take()
            _compare(tally, footage, index, line, seen)
            on_frame()
        broken = decoded.trouble or decoded.rest()
        return [
            self._counted(decoded, broken),
            self._drawn_again(drawn_hash.hexdigest(), tally),
            _codec(tally),
            _order(tally),
            self._survival(tally),
        ]

    def _still(self) -> Pixels | None:
        sha256 = self._record.recipe.still_sha256
        if not sha256:
            return None
        path = still_path(self._folder, sha256)
        if not path.exists():
            raise SceneInvalid(f"{path.name}, of which the clip was made, is missing")
        return read_still(path)

    def _counted(self, decoded: _Decoded, broken: str) -> Check:
        wanted = self._record.frames
        if broken or decoded.count != wanted:
            says = broken or f"{decoded.count} pictures decode, {wanted} were written"
            return Check("pictures", False, says)
        if decoded.size != self._record.recipe.size:
            return Check("pictures", False, f"pictures are {decoded.size}, not those of the recipe")
        return Check("pictures", True, f"{wanted} pictures decode")

    def _drawn_again(self, sha256: str, tally: _Tally) -> Check:
        made_with = dict(self._record.made_with)
        if sha256 != self._record.pixels_sha256:
            here = versions()
            why = "" if made_with == here else f": made with {made_with}, here is {here}"
            says = f"the recipe drawn again gives other pixels{why}"
            return Check("rendering", False, says)
        if tally.other_truth:
            says = f"truth of picture {tally.other_truth[0]} is not what was drawn"
            return Check("rendering", False, f"{says} ({len(tally.other_truth)} in all)")
        return Check("rendering", True, "drawn again: the same pixels, the same masks")

    def _survival(self, tally: _Tally) -> Check:
        survival = tally.survival
        if self._record.recipe.incident is None:
            return Check("survival", True, "nothing was put in")
        if survival.lost:
            says = f"the change of picture {survival.lost[0]} is lost in the video"
            return Check("survival", False, f"{says} ({len(survival.lost)} of {survival.expected})")
        if not survival.expected:
            if self._record.t0_frame is None:
                return Check("survival", True, "what the twin changed is too faint to be measured")
            return Check("survival", False, "the incident is too faint to be seen in any picture")
        says = (
            f"followed through the {survival.expected} pictures where it is strong enough, "
            f"{survival.first_seen} to {survival.last_seen} (changed from {survival.first_changed})"
        )
        return Check("survival", True, says)


class _Decoded:
    """Pictures of a video, one at a time; what is wrong with it is told, not raised."""

    def __init__(self, path: Path) -> None:
        self._pictures = decode(path)
        self.count, self.trouble = 0, ""
        self.size: tuple[int, int] | None = None

    def take(self) -> Pixels | None:
        """Give the next picture; None when there is none any more."""
        try:
            picture = next(self._pictures, None)
        except (SceneError, OSError) as error:
            self.trouble = self.trouble or f"cannot be decoded: {error}"
            return None
        if picture is not None:
            self.count += 1
            self.size = (picture.shape[1], picture.shape[0])
        return picture

    def rest(self) -> str:
        """Decode what is left; gives what is wrong with it."""
        while self.take() is not None:
            pass
        return self.trouble


def _compare(
    tally: _Tally, footage: Footage, index: int, line: TruthLine, decoded: Pixels | None
) -> None:
    truth = footage.truth(index)
    if line.label != (truth.kind or NORMAL) or not _same_mask(line.mask, truth.mask):
        tally.other_truth.append(index)
    drawn = footage.frame(index)
    if decoded is None or decoded.shape != drawn.shape:
        return
    tally.decoded += 1
    seen, meant = luma(decoded), luma(drawn)
    tally.fidelity.add(seen, meant)
    tally.order.add(index, seen, meant)
    without = drawn if truth.mask is None else footage.without(index)
    tally.survival.add(index, decoded, drawn, without, truth.mask)


def _same_mask(said: Mask | None, drawn: Mask | None) -> bool:
    if said is None or drawn is None:
        return said is drawn
    return bool((said == drawn).all())


def _codec(tally: _Tally) -> Check:
    worst = tally.fidelity.worst
    says = f"mean error of the worst picture {worst:.2f} of at most {MOST_ERROR:g} steps"
    if not tally.decoded:
        return Check("codec", False, "no picture could be compared")
    return Check("codec", worst <= MOST_ERROR, says)


def _order(tally: _Tally) -> Check:
    order = tally.order
    if order.wrong:
        says = f"picture {order.wrong[0]} shows its neighbour ({len(order.wrong)} in all)"
        return Check("order", False, says)
    return Check("order", True, f"in order by {order.told} comparisons of neighbours")
