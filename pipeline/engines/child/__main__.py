"""A child process, started by `ChildProcess`: python -m ... PARENT CHANNEL MEMORY."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pickle
import signal
import socket
import sys

from edgewatch.pipeline.engines.child.host import Host, Task
from edgewatch.pipeline.engines.child.messages import MOST_BYTES
from edgewatch.pipeline.engines.child.relay import relay_logs
from edgewatch.pipeline.engines.child.slots import Slots

_PR_SET_PDEATHSIG = 1
"""Source: prctl(2), linux/prctl.h."""


def main(parent: int, channel_fd: int, memory_fd: int) -> int:
    """Serve until done; returns the exit code."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 0  # it ended before the kernel knew
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    for descriptor in (channel_fd, memory_fd):
        os.set_inheritable(descriptor, False)
    channel = socket.socket(fileno=channel_fd)
    packet = channel.recv(MOST_BYTES)
    if not packet:
        return 0
    # The packet comes from this same program: the parent, over a socket that only it has.
    task: Task = pickle.loads(packet)
    slots = Slots(memory_fd, count=task.slots, size_bytes=task.slot_bytes)
    os.close(memory_fd)
    channel.setblocking(False)
    relay_logs(channel)
    asyncio.run(_serve(channel, slots, task))
    return 0


async def _serve(channel: socket.socket, slots: Slots, task: Task) -> None:
    await Host(channel, slots, task).run()


if __name__ == "__main__":
    code = main(*map(int, sys.argv[1:4]))
    sys.stdout.flush()
    sys.stderr.flush()
    # What libraries do at exit (threads, devices) may hang, and there is nothing left to save.
    os._exit(code)
