"""Making a quantised checkpoint: from the original to a directory that was verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.engines.device_memory import free_unused, is_out_of_memory
from edgewatch.pipeline.engines.transformers.libraries import (
    choose_device,
    installed_versions,
    refuse_wrong_versions,
)
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising import config_file, modelopt, room
from edgewatch.tools.quantising.blueprint import refuse_widths
from edgewatch.tools.quantising.clips import Chosen, ClipStore
from edgewatch.tools.quantising.drift import Drift, drift_of
from edgewatch.tools.quantising.formats import Format
from edgewatch.tools.quantising.scoring import Asking, score
from edgewatch.tools.quantising.side_files import CONFIG, copy_side_files
from edgewatch.tools.quantising.steps import Steps
from edgewatch.tools.quantising.subject import Subject, load_subject, refuse_unfit
from edgewatch.tools.quantising.texts import text_samples
from edgewatch.tools.quantising.verification import Verified, matrices_of, verified
from edgewatch.tools.quantising.workplace import Workplace, workplace

if TYPE_CHECKING:
    import torch

BOOK = "edgewatch-quantized.json"
"""What a checkpoint says of how it was made, beside its weights."""
Pour = Callable[[ClipStore, Steps], str]
"""Puts clips into a store; returns, in words, what they are."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made, of what, and with what."""

    original: Path
    to: Format
    destination: Path
    plan: CameraPlan
    """How footage is cut, what is asked, and the threshold."""
    asking: Asking
    samples: int
    compared: int
    most_drift: float
    pour: Pour
    text: Path | None = None
    """Calibrated on instead of clips."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of an order."""

    destination: Path
    verified: Verified
    drift: Drift
    samples: int
    calibrated_on: str
    compared_on: str
    seconds: dict[str, float] = field(default_factory=dict)


def make(order: Order, steps: Steps) -> Made:
    """Make, verify, compare and publish a checkpoint; all or nothing.

    Raises ConfigError for what was asked wrongly, EngineFailed for what could not be done or was
    refused: nothing is left behind then.
    """
    try:
        return _make(order, steps)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"the memory of {order.asking.device} ran out ({error})",
            "set a smaller --batch, end other programs that hold memory, or take a larger GPU",
        ) from error


def _make(order: Order, steps: Steps) -> Made:
    device, batch = _admitted(order, steps)
    with workplace(order.destination) as place:
        chosen, footage = _gathered(order, place, steps)
        with steps.step("loading the original"):
            subject = load_subject(order.original, device, order.asking.form, batch)
        texts = _texts(order, subject)
        with steps.step("scoring by the original", len(chosen.comparison)) as advance:
            before = subject.scores(chosen.comparison, advance)
        _export(order, place, subject, _shown(subject, chosen, texts, steps), steps)
        del subject
        free_unused(device)
        sound = _verified(order, place, steps)
        after = score(place.checkpoint, chosen.comparison, order.asking, steps, "new checkpoint")
        drift = drift_of(
            before, after.scores, threshold=order.plan.threshold, simulated=after.simulated
        )
        if reason := drift.refusal(order.most_drift):
            raise EngineFailed(f"the {order.to.name} checkpoint is refused: {reason}", _CURES)
        samples = len(texts) or len(chosen.calibration)
        made = Made(
            order.destination,
            sound,
            drift,
            samples,
            f"{samples} texts of {order.text}" if texts else f"{samples} clips of {footage}",
            f"{len(chosen.comparison)} clips of {footage}"
            + (", the same as calibrated on" if chosen.shared and not texts else ""),
            steps.seconds,
        )
        _write(place.checkpoint / BOOK, book(made))
        place.publish()
    return made


_CURES = (
    "calibrate on clips of your own cameras (--clips), take another format (fp8 drifts least), or "
    "allow more with --most-drift"
)


def book(made: Made) -> dict[str, Any]:
    """Return how a checkpoint was made and what it lost, without NaN."""
    drift = made.drift
    return {
        "schema": 1,
        "format": made.verified.format.name,
        "calibrated_on": made.calibrated_on,
        "samples": made.samples,
        "compared_on": made.compared_on,
        "compared_clips": len(drift.original),
        "drift_mean": drift.mean,
        "drift_max": drift.largest,
        "labels_changed": drift.changed,
        "threshold": drift.threshold,
        "simulated": drift.simulated or None,
        "weights_bytes": made.verified.weights_bytes,
        "original_weights_bytes": made.verified.original_bytes,
        "seconds": {name: round(seconds, 2) for name, seconds in made.seconds.items()},
    }


def _admitted(order: Order, steps: Steps) -> tuple[torch.device, int]:
    """Check all that can be checked before the work; return the device and the batch."""
    version = modelopt.require_modelopt()
    refuse_wrong_versions(installed_versions())
    refuse_unfit(order.original)
    matrices, tensors = matrices_of(order.original)
    refuse_widths(matrices, order.to)
    device = choose_device(order.asking.device)
    clips = order.compared + (0 if order.text else order.samples)
    found = room.memory_plan(order.original, device, order.asking.largest, order.asking.batch)
    needed_bytes = room.disk_bytes(matrices, order.to, tensors, clips, order.asking.largest)
    disk = room.require_disk(needed_bytes, order.destination)
    steps.say(f"ModelOpt {version} on {device}: {found.sentence}; {disk}")
    return device, room.require_memory(found, device)


def _gathered(order: Order, place: Workplace, steps: Steps) -> tuple[Chosen, str]:
    wanted = 0 if order.text else order.samples
    store = ClipStore(place.clips, wanted + order.compared)
    footage = order.pour(store, steps)
    chosen = store.choose(wanted, order.compared)
    if not chosen.comparison or (wanted and not chosen.calibration):
        raise ConfigError(
            "--clips: no clip could be cut from what was given. Name other recordings"
        )
    if wanted and len(chosen.calibration) < wanted:
        steps.say(
            f"{len(chosen.calibration)} clips are all there are to calibrate with ({wanted} were "
            "wanted): more footage of your cameras makes the scales surer"
        )
    return chosen, footage


def _texts(order: Order, subject: Subject) -> list[list[int]]:
    if order.text is None:
        return []
    return text_samples(order.text, subject.scripts.encode, order.samples)


def _shown(
    subject: Subject, chosen: Chosen, texts: Sequence[Sequence[int]], steps: Steps
) -> Callable[[], None]:
    """Return what shows every sample to the model once."""

    def clips() -> None:
        with steps.step("calibrating on clips", len(chosen.calibration)) as advance:
            subject.scores(chosen.calibration, advance)

    def words() -> None:
        with steps.step("calibrating on text", len(texts)) as advance:
            for tokens in texts:
                subject.read_text(tokens)
                advance(1)

    return words if texts else clips


def _export(
    order: Order, place: Workplace, subject: Subject, show: Callable[[], None], steps: Steps
) -> None:
    subject.round_weights()
    modelopt.quantise(subject.model, order.to, show)
    with steps.step("exporting"):
        subject.halve_precision()
        quantisation = modelopt.export(subject.model, place.checkpoint)
        original = json.loads((order.original / CONFIG).read_bytes())
        _write(place.checkpoint / CONFIG, config_file.patched(original, quantisation))
        copy_side_files(order.original, place.checkpoint)


def _verified(order: Order, place: Workplace, steps: Steps) -> Verified:
    with steps.step("verifying", None) as advance:
        return verified(place.checkpoint, order.original, advance=lambda: advance(1))


def _write(file: Path, table: dict[str, Any]) -> None:
    file.write_text(json.dumps(table, indent=2, allow_nan=False) + "\n", "utf-8")
