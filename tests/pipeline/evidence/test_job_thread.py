from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from edgewatch.pipeline.evidence.home_loop import HomeLoop
from edgewatch.pipeline.evidence.job_thread import MOST_BYTES, MOST_JOBS, JobThread
from edgewatch.pipeline.evidence.trouble import EvidenceFailed

LONG_SECONDS = 20.0


def nothing() -> None:
    """A job that is done at once."""


class HungDisk:
    """A job that does not end before it may."""

    def __init__(self) -> None:
        self.begun, self.freed = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.freed.wait(LONG_SECONDS)


@pytest.fixture
async def jobs() -> AsyncIterator[JobThread]:
    thread = JobThread(on_trouble=lambda error: None)
    yield thread
    thread.close()


async def test_a_disk_that_hangs_fills_no_memory_with_pictures(jobs: JobThread) -> None:
    disk, done = HungDisk(), list[int]()
    assert jobs.submit(disk, holds_bytes=MOST_BYTES // 2)
    assert jobs.submit(lambda: done.append(1), holds_bytes=MOST_BYTES // 2)
    assert not jobs.submit(lambda: done.append(2), holds_bytes=1)
    assert jobs.submit(lambda: done.append(3), holds_bytes=1, must=True)
    assert jobs.left_out == 1
    disk.freed.set()
    await jobs.do(lambda: None)
    assert done == [1, 3]
    assert jobs.submit(lambda: done.append(4), holds_bytes=MOST_BYTES)
    await jobs.do(lambda: None)
    assert done == [1, 3, 4]


async def test_only_so_many_jobs_wait(jobs: JobThread) -> None:
    disk = HungDisk()
    taken = [jobs.submit(disk if number == 0 else nothing) for number in range(MOST_JOBS + 3)]
    assert taken.count(False) == jobs.left_out == 3
    disk.freed.set()
    await jobs.do(lambda: None)
    assert jobs.submit(nothing)


async def test_trouble_of_the_disk_is_told_and_no_fault_ends_the_thread() -> None:
    told: list[str] = []
    jobs = JobThread(on_trouble=lambda error: told.append(str(error)))

    def fail(error: Exception) -> None:
        raise error

    jobs.submit(lambda: fail(EvidenceFailed("x.jpg: the disk is full", disk=True)))
    jobs.submit(lambda: fail(EvidenceFailed("x.jpg: it is no picture")))
    jobs.submit(lambda: fail(ValueError("a fault of ours")))
    assert await jobs.do(lambda: "goes on") == "goes on"
    assert told == ["x.jpg: the disk is full"]
    jobs.close()
    assert not jobs.submit(nothing)


def test_a_thread_that_outlives_the_loop_has_nobody_to_tell() -> None:
    home, heard = HomeLoop(), list[str]()
    home.call(heard.append, "before anything")

    async def at_home() -> None:
        home.join()
        home.call(heard.append, "in time")
        await asyncio.sleep(0)

    asyncio.run(at_home())
    home.call(heard.append, "too late")
    assert heard == ["in time"]
