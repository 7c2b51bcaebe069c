"""The surroundings of a drill: what it needs of the service that it rehearses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.drill.composer import Composed, Composer, MakeIncident
from edgewatch.pipeline.drill.shadow_thread import ShadowThread
from edgewatch.pipeline.drill.witness import Heard
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import Clip, DrillMark
from edgewatch.pipeline.watch import CameraThread, Reports


class Listener(Protocol):
    """Who hears the drill's event; a Witness in the product."""

    @property
    def heard(self) -> Heard:
        """What it has heard so far."""

    async def run(self) -> None:
        """Listen until cancelled."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How store and publisher fare."""

    store_trouble: str = ""
    connected: bool = True
    detail: str = ""
    """Why it is not connected."""


class Copier(CameraThread, Protocol):
    """Copies clips and hands them over; a ShadowThread in the product."""

    def take(self, clip: Clip, /) -> None:
        """Have a clip copied next; never waits."""


class OpenCopier(Protocol):
    """Makes a copier."""

    def __call__(
        self,
        composer: Composer,
        outlet: Mailbox[Clip],
        reports: Reports,
        *,
        on_composed: Callable[[Composed], None],
        on_trouble: Callable[[str], None],
    ) -> Copier:
        """Make it; it is started by the flow."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A running service, as far as a drill needs it."""

    flow: Flow
    judge: Judge
    clock: Clock
    delivery: Callable[[], Delivery]
    leaks: Callable[[], int]
    """How many messages of drills were stopped on their way out, ever."""
    witness: Callable[[str, DrillMark, Callable[[], None]], Listener]
    """Makes the witness of a camera's drill; the last is called when it has heard something."""
    incident: Callable[[str, int], MakeIncident]
    """Gives what makes an incident of a kind, by seed."""
    open_copier: OpenCopier = ShadowThread
