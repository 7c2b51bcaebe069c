"""A process that computes one shard of a model: python -m ... PARENT CHANNEL; see `group`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from edgewatch.pipeline.engines.native.sharing.group import Join, Lost
from edgewatch.pipeline.errors import EngineFailed

_PR_SET_PDEATHSIG = 1
"""Source: prctl(2), linux/prctl.h."""


def main(parent: int, channel: int) -> int:
    """Serve until told to end; returns the exit code."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 0  # it ended before the kernel knew
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides when to end
    os.set_inheritable(channel, False)
    connection = Connection(channel)
    try:
        _follow(connection)
    except (EOFError, ConnectionError):
        return 0  # the first process is gone
    except EngineFailed as error:
        _say(connection, Lost(error.what, error.cure))
        return 1
    except Exception as error:  # noqa: BLE001 - the border to code that is not ours: name it
        _say(connection, Lost(f"{type(error).__name__}: {error}", ""))
        return 1
    return 0


def _follow(connection: Connection) -> None:
    from edgewatch.pipeline.engines.native.loading import load_following

    join: Join = connection.recv()
    scorer = load_following(join.setup, join.shard, join.folder, connection.recv)
    while True:
        scorer.obey(connection.recv())


def _say(connection: Connection, lost: Lost) -> None:
    with suppress(OSError):
        connection.send(lost)


if __name__ == "__main__":
    code = main(*map(int, sys.argv[1:3]))
    sys.stdout.flush()
    sys.stderr.flush()
    # What libraries do at exit (threads, devices) may hang, and there is nothing left to save.
    os._exit(code)
