"""The model's thread: order of turns, giving way, leaving, ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from edgewatch.pipeline.engines.worker import Turn, Worker
from edgewatch.pipeline.errors import EngineFailed

SECONDS = 10.0
"""Longest wait for another thread."""


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    running = Worker("test-engine")
    running.start()
    yield running
    assert await running.stop(SECONDS)
    assert not running.alive


class Gate:
    """A job that says when it is under way and ends when it is let."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.entered = asyncio.Event()
        self.leave = threading.Event()

    def __call__(self, turn: Turn) -> Turn:
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self.leave.wait(SECONDS)
        return turn


def noting(done: list[str], name: str) -> Callable[[Turn], None]:
    return lambda _: done.append(name)


async def test_urgent_jobs_go_before_others_and_each_in_order(worker: Worker) -> None:
    gate, done = Gate(), list[str]()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as jobs:
        jobs.create_task(worker.run(gate))
        await gate.entered.wait()
        for name in ("words 1", "words 2", "score 1", "score 2"):
            urgent = name.startswith("score")
            jobs.create_task(worker.run(noting(done, name), urgent=urgent))
            await asyncio.sleep(0)
        gate.leave.set()
    assert done == ["score 1", "score 2", "words 1", "words 2"]


async def test_other_job_is_told_when_an_urgent_one_waits(worker: Worker) -> None:
    gate = Gate()
    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as jobs:
        words = jobs.create_task(
            worker.run(lambda turn: gate(turn).overtaken and turn.wanted, urgent=False)
        )
        await gate.entered.wait()
        score = jobs.create_task(worker.run(lambda turn: turn.overtaken))
        await asyncio.sleep(0)
        assert worker.urgent_waits
        gate.leave.set()
    assert words.result() is True
    assert score.result() is False


async def test_job_that_is_cancelled_before_its_turn_is_not_done(worker: Worker) -> None:
    gate, done = Gate(), list[int]()
    async with asyncio.timeout(SECONDS):
        first = asyncio.create_task(worker.run(gate))
        await gate.entered.wait()
        second = asyncio.create_task(worker.run(lambda _: done.append(1)))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.leave.set()
        await first
        await worker.run(lambda _: done.append(2))
    assert done == [2]


async def test_job_under_way_is_told_that_nobody_waits(worker: Worker) -> None:
    gate, seen = Gate(), list[bool]()

    def work(turn: Turn) -> None:
        gate(turn)
        seen.append(turn.wanted)

    async with asyncio.timeout(SECONDS):
        task = asyncio.create_task(worker.run(work))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.leave.set()
        await worker.run(lambda _: None)
    assert seen == [False]


async def test_error_of_a_job_reaches_its_caller_alone(worker: Worker) -> None:
    def fail(_: Turn) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert await worker.run(lambda _: 7) == 7


async def test_stop_ends_after_the_job_under_way_and_drops_the_others() -> None:
    worker = Worker("test-engine")
    worker.start()
    gate = Gate()
    async with asyncio.timeout(SECONDS):
        first = asyncio.create_task(worker.run(gate))
        await gate.entered.wait()
        second = asyncio.create_task(worker.run(lambda _: None))
        await asyncio.sleep(0)
        assert not await worker.stop(0.01)
        assert worker.alive
        gate.leave.set()
        assert await worker.stop(SECONDS)
        assert (await first).wanted is False
        with pytest.raises(EngineFailed, match="closed"):
            await second
        with pytest.raises(EngineFailed, match="closed"):
            await worker.run(lambda _: None)
