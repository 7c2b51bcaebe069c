"""The processes that hold a model's other shards: started, told, watched and ended by the first.

One that ends, for whatever reason, is noticed at once; one that hangs, by the time limit of whoever
waits for an answer. In both cases none of them can go on, and all are started anew.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.native.sharing.shards import Shard
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed

_MODULE = "edgewatch.pipeline.engines.native.sharing.follower"


@dataclass(frozen=True, slots=True)
class Join:
    """To a new process: what it is part of."""

    setup: EngineSetup
    shard: Shard
    folder: Path
    """Private, and empty: where they meet."""


@dataclass(frozen=True, slots=True)
class Lost:
    """From a process: it cannot go on."""

    what: str
    cure: str


class Group:
    """All processes but the first. Belongs to the thread that made it, but for `tell`."""

    def __init__(self, setup: EngineSetup, on_lost: Callable[[EngineFailed], None]) -> None:
        """Start them. `on_lost` is called once, in a thread of the group's own.

        The thread that calls must outlive them: the kernel ends them with it. Raises OSError.
        """
        self.shard = Shard(0, setup.tensor_parallel)
        self.folder = Path(tempfile.mkdtemp(prefix="edgewatch-native-"))
        self._on_lost = on_lost
        self._telling = threading.Lock()
        self._ending = False
        self._followers: list[_Follower] = []
        try:
            for rank in range(1, setup.tensor_parallel):
                shard = Shard(rank, setup.tensor_parallel)
                self._followers.append(
                    _Follower(Join(setup, shard, self.folder), on_lost=self._lost)
                )
        except BaseException:
            self.end()
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process ids, by rank from 1."""
        return tuple(one.pid for one in self._followers)

    def tell(self, message: Any) -> None:
        """Send a message to all. Raises EngineFailed if one is gone."""
        packet = pickle.dumps(message)
        for one in self._followers:
            try:
                one.connection.send_bytes(packet)
            except OSError as error:
                raise EngineFailed(f"a process that shares the model is gone ({error})") from error

    def end(self) -> None:
        """Kill all: they have nothing to save. Idempotent."""
        self._ending = True
        for one in self._followers:
            one.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lost(self, failure: EngineFailed) -> None:
        with self._telling:
            if self._ending:
                return
            self._ending = True
        self._on_lost(failure)


class _Follower:
    """One process, and the thread that waits for its end."""

    def __init__(self, join: Join, *, on_lost: Callable[[EngineFailed], None]) -> None:
        self._rank = join.shard.rank
        self._on_lost = on_lost
        self.connection, theirs = Pipe()
        with theirs:
            self._popen = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", _MODULE),
                    *(str(os.getpid()), str(theirs.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        with suppress(OSError):  # it has ended already; the thread will say so
            self.connection.send(join)
        self._watch = threading.Thread(
            target=self._wait, args=(self.connection,), name=f"rank-{self._rank}", daemon=True
        )
        self._watch.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def end(self) -> None:
        """Kill it, and return when it has ended."""
        self._popen.kill()
        self._watch.join()
        self.connection.close()

    def _wait(self, connection: Connection) -> None:
        """Wait until it says that it is lost, or ends without a word."""
        said: Lost | None = None
        with suppress(EOFError, OSError):
            said = connection.recv()
        code = self._popen.wait()
        if said is not None:
            self._on_lost(EngineFailed(f"rank {self._rank} of the model: {said.what}", said.cure))
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self._on_lost(
            EngineFailed(
                f"the process that computes rank {self._rank} of the model {how}",
                "a kill that nobody ordered mostly is the kernel's, out of memory (see dmesg)",
            )
        )
