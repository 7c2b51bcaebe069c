from __future__ import annotations

import asyncio
import threading

import pytest

from tests.fakes.clock import ManualClock, ManualSignal, VirtualTimeLoop


def test_an_hour_of_virtual_time_passes_at_once_and_in_order() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, asyncio.get_running_loop().time()))

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sleeper("late", 3600.0))
            tasks.create_task(sleeper("early", 60.0))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert [name for name, _ in woken] == ["early", "late"]
    assert [seconds for _, seconds in woken] == pytest.approx([60.0, 3600.0])


def test_tasks_that_wait_for_each_other_are_told_instead_of_hanging() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualTimeLoop()
    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="virtual time"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_a_manual_signal_lets_its_waits_pass_on_the_clock() -> None:
    clock = ManualClock(wall_seconds=100.0, monotonic_seconds=5.0)
    signal = ManualSignal(clock)
    assert not signal.wait(2.5)
    assert (clock.wall_seconds(), clock.monotonic_seconds()) == (102.5, 7.5)
    threading.Thread(target=signal.set).start()
    assert signal.wait()
    assert signal.wait(10.0)
    assert clock.monotonic_seconds() == 7.5
