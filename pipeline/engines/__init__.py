"""The engine protocol and the table of engines; a backend is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard

from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.types import Answer, CameraName, Clip, FramePair


class Engine(Protocol):
    """What judges clips. One engine is resident; cameras come and go without touching it.

    Called from one event loop. `judge` must not block the loop: an engine computes in its own
    thread or process. Clips of one camera arrive in order of time.

    An engine may state `batches_in_flight` (see there): it is then asked to `judge` one batch
    while it still judges another. It may have `figures` of its own work, and may take frames before
    their clips (`ForeseeingEngine`).
    """

    @property
    def name(self) -> str:
        """Short name with version, published with every verdict: "builtin-1"."""

    @property
    def max_batch(self) -> int:
        """Most clips that one call of `judge` can use well."""

    async def start(self) -> None:
        """Load and warm up; judged clips follow at full speed. Raises EngineFailed."""

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score each clip, in order; one answer a clip.

        Raises EngineBusy (nothing was judged, try again) or EngineFailed (must be restarted).
        """

    async def describe(self, clip: Clip) -> str:
        """Say in words what is wrong in a clip that was judged before; lower priority."""

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Tell what counts as an anomaly for a camera, from its next clip on; kept over restarts.

        Called before a camera's first clip. An engine that does not read lets it pass.
        """

    async def forget(self, camera: CameraName) -> None:
        """Let go of what is kept for a camera that was removed (its baseline on disk stays)."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return what was known of a camera before one of its latest two clips was judged.

        With it (`recall`) the same clips get the same answers again. None where answers rest on
        the clip alone, and for clips that are longer ago. Raises EngineFailed.
        """

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Know of a camera what `memory_of` returned, and nothing else; it is not saved.

        Raises ValueError if it is not of this engine, or damaged.
        """

    async def close(self) -> None:
        """Save what was learnt and free everything; idempotent."""


def batches_in_flight(engine: object) -> int:
    """Return how many batches an engine, or a model, takes at once; 1 if it does not say so."""
    return max(1, int(getattr(engine, "batches_in_flight", 1)))


class ForeseeingEngine(Engine, Protocol):
    """An engine that keeps what it saw of a camera's frames, for the clips that share them."""

    @property
    def foresees(self) -> bool:
        """Whether pairs of frames are to be handed over before their clips."""

    def foresee(self, pair: FramePair) -> None:
        """Take two frames of a clip that is not complete yet; returns at once."""


def foresees(engine: Engine) -> TypeGuard[ForeseeingEngine]:
    """Return whether an engine wants pairs of frames before their clips."""
    return bool(getattr(engine, "foresees", False))


def figures_of(engine: Engine) -> EngineFigures | None:
    """Return what an engine counts of its own work; None of one that counts nothing."""
    figures: EngineFigures | None = getattr(engine, "figures", None)
    return figures


def create_engine(setup: EngineSetup) -> Engine:
    """Make the engine of a kind; nothing heavy is imported before its `start`."""
    engine = _of_kind(setup)
    if setup.calibration is None:
        return engine
    from edgewatch.pipeline.engines.calibrated import CalibratedEngine

    return CalibratedEngine(engine, setup)


def _of_kind(setup: EngineSetup) -> Engine:
    match setup.kind:
        case "builtin":
            from edgewatch.pipeline.engines.builtin import BuiltinEngine

            return BuiltinEngine(baseline_dir=setup.baseline_dir, max_batch=setup.max_batch)
        case "transformers" | "tensorrt" | "remote" | "native":
            from edgewatch.pipeline.engines.model import ModelEngine
            from edgewatch.pipeline.engines.models import create_model

            return ModelEngine(create_model(setup))
    raise ValueError(f"unknown engine kind {setup.kind!r}")
