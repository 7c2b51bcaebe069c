"""Servers: which is asked next, and which is left out until it is well again. Pure.

Times are a monotonic clock's seconds, handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from edgewatch.pipeline.engines.remote.dialect import OTHER, Dialect
from edgewatch.pipeline.engines.remote.trouble import ServerLost, Trouble
from edgewatch.pipeline.errors import EngineFailed

LOSSES_BORNE = 3
"""So many requests in a row without an answer, and a server is left out."""
SHORTEST_EXILE_SECONDS = 1.0
LONGEST_EXILE_SECONDS = 30.0
SHORTEST_REST_SECONDS = 0.25


def place_of(url: str) -> str:
    """Return a server's address as people and logs are told it: without query and fragment."""
    return url.partition("?")[0].partition("#")[0].rstrip("/")


@dataclass(slots=True, eq=False)
class Server:
    """One server and what is known of it."""

    url: str
    dialect: Dialect = OTHER
    answers_as: str = ""
    """The model's name in its answers; another one means another model."""
    outstanding: int = 0
    """Requests that it has not answered yet."""
    well: bool = False
    losses: int = 0
    lost_at_seconds: float = -math.inf
    exiles: int = 0
    """Times in a row that it was found unwell."""
    again_at_seconds: float = 0.0
    """When a server that is left out is tried again."""
    rests_until_seconds: float = 0.0
    """It asked for nothing more before."""
    trouble: Trouble = field(default_factory=lambda: ServerLost("was not asked yet"))
    """Why it is left out."""

    @property
    def place(self) -> str:
        """Its address, fit for logs."""
        return place_of(self.url)


class Servers:
    """Chooses the well server with the least to do; knows when to try the others again."""

    def __init__(self, urls: Sequence[str], *, slots: int, random: Callable[[], float]) -> None:
        """`slots`: most requests at a server at once. `random`: 0 to 1, spreads what is tried."""
        self._servers = [Server(url) for url in urls]
        self._slots = slots
        self._random = random
        self._turn = 0

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    @property
    def any_well(self) -> bool:
        """Whether anybody can be asked, if not now."""
        return any(server.well for server in self._servers)

    def failure(self) -> EngineFailed:
        """Return why nobody can be asked, for each server; the cure apart where it is one."""
        left_out = [server for server in self._servers if not server.well]
        if len(left_out) == 1:
            trouble = left_out[0].trouble
            return EngineFailed(
                f"no server can be asked: {left_out[0].place} {trouble.what}", trouble.cure
            )
        told = "; ".join(f"{server.place} {server.trouble}" for server in left_out)
        return EngineFailed(f"no server can be asked: {told}")

    def pick(self, now_seconds: float) -> Server | None:
        """Return the server to ask; of equals each in its turn. None: none has room now."""
        free = [
            server
            for server in self._servers
            if server.well
            and server.outstanding < self._slots
            and server.rests_until_seconds <= now_seconds
        ]
        if not free:
            return None
        least = min(server.outstanding for server in free)
        equal = [server for server in free if server.outstanding == least]
        self._turn += 1
        return equal[self._turn % len(equal)]

    def rest_ends_seconds(self, now_seconds: float) -> float | None:
        """Return when the first well server that rests has rested enough; None: none rests."""
        ends = [
            server.rests_until_seconds
            for server in self._servers
            if server.well and server.rests_until_seconds > now_seconds
        ]
        return min(ends, default=None)

    def answered(self, server: Server) -> None:
        """Note that a server is well."""
        server.losses = 0

    def busy(self, server: Server, now_seconds: float, retry_after_seconds: float | None) -> None:
        """Let a server rest, as long as it asked for."""
        rest = retry_after_seconds
        if rest is None:
            rest = SHORTEST_REST_SECONDS * (1 + self._random())
        server.rests_until_seconds = max(server.rests_until_seconds, now_seconds + rest)

    def lost(self, server: Server, began_seconds: float, now_seconds: float, why: Trouble) -> None:
        """Note a request that came to nothing; too many in a row, and the server is left out.

        Those that were under way together count as one: a batch lost in one moment is no row.
        """
        if began_seconds <= server.lost_at_seconds:
            return
        server.losses += 1
        server.lost_at_seconds = now_seconds
        if server.well and server.losses >= LOSSES_BORNE:
            self.leave_out(server, now_seconds, why)

    def leave_out(self, server: Server, now_seconds: float, why: Trouble) -> None:
        """Ask a server no more, until it is tried again: later each time."""
        exile = min(LONGEST_EXILE_SECONDS, SHORTEST_EXILE_SECONDS * 2**server.exiles)
        server.well, server.losses, server.trouble = False, 0, why
        server.exiles = min(server.exiles + 1, 16)
        server.again_at_seconds = now_seconds + exile * (0.75 + 0.5 * self._random())

    def admit(self, server: Server, dialect: Dialect, answers_as: str) -> None:
        """Ask a server that was tried and found well."""
        server.dialect, server.answers_as = dialect, answers_as
        server.well, server.losses, server.exiles = True, 0, 0
        server.rests_until_seconds = 0.0

    def due(self, now_seconds: float) -> list[Server]:
        """Return the servers to be tried again now."""
        return [
            server
            for server in self._servers
            if not server.well and server.again_at_seconds <= now_seconds
        ]

    def next_due_seconds(self) -> float | None:
        """Return when a server is to be tried again; None: all are well."""
        left_out = [server.again_at_seconds for server in self._servers if not server.well]
        return min(left_out, default=None)
