"""A model in a child process: what it answers, and every way in which it may end."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.engines.child import ChildModel
from edgewatch.pipeline.engines.child.launch import environment_of
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.child.model import PAIRS_ON_THE_WAY
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.trial_clips import black_clip, noise_clip
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.pipeline.engines.child.conftest import QUICK, ROOT, SETUP, MakeChild
from tests.pipeline.engines.child.hosted import (
    Broken,
    Clingy,
    Keeping,
    SlowLoader,
    Unloadable,
    Zombie,
)
from tests.pipeline.engines.child.proc import children, ended, gone

BLACK = black_clip(SETUP.largest_clip)
NOISE = noise_clip(SETUP.largest_clip)


def asked(prompt: str) -> AskedClip:
    return replace(BLACK, prompt=prompt)


async def until(holds: Callable[[], bool], *, within_seconds: float = 10.0) -> None:
    """Wait until something holds that only another process can tell."""
    async with asyncio.timeout(within_seconds):
        while not holds():  # noqa: ASYNC110 - no event comes from outside
            await asyncio.sleep(0.01)


# Answers


async def test_answers_come_back_in_order_with_all_they_hold(make_child: MakeChild) -> None:
    child = make_child()
    await child.start()
    clips = [replace(NOISE, fps=2.5), BLACK, replace(BLACK, prompt="uncertain")]
    first, second, third = await child.score(clips)
    assert first.score == pytest.approx(NOISE.frames.mean() / 255.0)
    assert (first.prompt_hash, first.uncertain) == ("2.5", False)
    assert (second.score, second.uncertain, third.uncertain) == (0.0, False, True)
    assert await child.words(replace(BLACK, fps=3.0)) == "(4, 112, 112, 3) at 3"
    assert (child.name, child.max_batch) == ("obedient:-", 3)
    assert child.batches_in_flight == 2


async def test_pairs_go_ahead_of_their_clips_and_figures_come_back(make_child: MakeChild) -> None:
    child = make_child(create=Keeping)
    assert not child.foresees
    child.foresee([BLACK])  # before the start: let go
    await child.start()
    assert child.foresees
    greys = [3, 5, 7]
    for grey in greys:
        frames = np.full((2, 112, 112, 3), grey, np.uint8)
        child.foresee([AskedClip(frames, 1.0, "", camera=f"c{grey}", times=(1.0, 1.25))])
    child.forget("c5")
    await child.score([BLACK])
    assert (child.figures.sight_foreseen, child.figures.sight_bytes) == (3, sum(greys))
    assert child.figures.sight_hits == 2, "one of three cameras was forgotten"
    pair = AskedClip(BLACK.frames[:2], 1.0, "", camera="c3", times=(1.0, 1.25))
    child.foresee([pair] * (PAIRS_ON_THE_WAY + 2))
    assert child.figures.sight_forgone == 2, "no more than there is room for beside clips"
    for _ in range(2):  # their room is free again, and that of clips never was taken
        await child.score([BLACK, BLACK, BLACK])
        child.foresee([pair] * PAIRS_ON_THE_WAY)
    assert child.figures.sight_forgone == 2


async def test_clips_asked_at_the_same_time_are_not_mixed_up(make_child: MakeChild) -> None:
    child = make_child()
    await child.start()
    greys = [AskedClip(np.full_like(BLACK.frames, grey), 4.0, "") for grey in range(0, 250, 10)]

    async def score(clip: AskedClip) -> float:
        while True:
            try:
                return (await child.score([clip]))[0].score
            except EngineBusy:
                await asyncio.sleep(0.01)

    scores = await asyncio.gather(*map(score, greys))
    assert scores == pytest.approx([grey / 255 for grey in range(0, 250, 10)])


async def test_gpus_are_named_in_the_environment_before_anything_is_imported(
    make_child: MakeChild,
) -> None:
    child = make_child(kind="tensorrt", gpus=(2, 5), model=Path("/models/m"), token="sesame")
    assert child.name == "tensorrt:m"
    await child.start()
    with pytest.raises(EngineFailed) as told:
        await child.score([asked("environment")])
    for setting in (
        "CUDA_VISIBLE_DEVICES=2,5",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
        "TLLM_WORKER_USE_SINGLE_PROCESS=1",
        "HF_HUB_OFFLINE=1",
    ):
        assert setting in str(told.value)
    assert "sesame" not in str(told.value)


def test_memory_of_the_native_engine_grows_in_one_piece() -> None:
    """Batches of all sizes follow each other, and pieces too small for the next would pile up."""
    name = "PYTORCH_CUDA_ALLOC_CONF"
    assert environment_of(replace(SETUP, kind="native"))[name] == "expandable_segments:True"
    assert name not in environment_of(replace(SETUP, kind="tensorrt"))


async def test_busy_is_no_failure(make_child: MakeChild) -> None:
    child = make_child()
    await child.start()
    with pytest.raises(EngineBusy, match="later"):
        await child.score([asked("busy")])
    assert len(await child.score([BLACK])) == 1


async def test_too_many_clips_at_once_are_refused_as_busy(make_child: MakeChild) -> None:
    child = make_child()
    await child.start()
    holding = [asyncio.create_task(child.score([asked("hold")] * 3)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(EngineBusy, match="shared memory"):
        await child.score([BLACK] * 2)
    for task in holding:
        task.cancel()
    await asyncio.gather(*holding, return_exceptions=True)
    # What was cancelled gives its room back once the child lets go of it.
    async with asyncio.timeout(5.0):
        while True:
            try:
                await child.score([BLACK] * 3)
                break
            except EngineBusy:
                await asyncio.sleep(0.01)


async def test_clip_larger_than_planned_is_not_judged_and_the_others_are(
    make_child: MakeChild,
) -> None:
    child = make_child()
    await child.start()
    huge = AskedClip(np.zeros((20, 280, 280, 3), np.uint8), 4.0, "")
    first, second = await child.score([huge, NOISE])
    assert math.isnan(first.score)
    assert second.score > 0.4
    assert math.isnan((await child.score([huge]))[0].score)
    assert await child.words(huge) == ""


async def test_what_the_child_logs_is_in_the_one_log(
    make_child: MakeChild, capsys: pytest.CaptureFixture[str]
) -> None:
    child = make_child()
    await child.start()
    await child.score([asked("log")])
    line = next(line for line in capsys.readouterr().out.splitlines() if "something odd" in line)
    assert "warning" in line
    assert "degrees=3" in line


# Ends


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ("kill", r"was killed by signal 9 \(SIGKILL\) while judging 1 clips.*dmesg"),
        ("exit", r"ended by itself with code 137 while judging 1 clips"),
        ("last words", r'with code 3 .*its last line: "out of memory, token=\*\*\*"'),
        ("stop", r"was stuck: nothing heard of it for 1\.\d s while judging"),
        ("block", r"was stuck: nothing heard of it for 1\.\d s while judging"),
        ("fail", r"the device is lost: restart the machine"),
        ("bug", r"the engine could not answer: RuntimeError: division by cucumber"),
    ],
)
async def test_end_of_a_child_is_told_at_once_to_all_who_wait(
    make_child: MakeChild, deed: str, told: str
) -> None:
    child = make_child()
    await child.start()
    pid = child.pid
    assert pid
    holding = asyncio.create_task(child.score([asked("hold")]))
    await asyncio.sleep(0)
    async with asyncio.timeout(5.0):
        with pytest.raises(EngineFailed, match=told):
            await child.score([asked(deed)])
        with pytest.raises(EngineFailed):
            await holding
    with pytest.raises(EngineFailed, match=told):
        await child.words(BLACK)
    await until(lambda: gone(pid))
    await child.close()
    await child.start()
    assert child.pid != pid
    assert (await child.score([NOISE]))[0].score > 0.4


async def test_request_that_is_never_answered_ends_the_child(make_child: MakeChild) -> None:
    child = make_child(limits=replace(QUICK, request_seconds=0.3))
    await child.start()
    with pytest.raises(EngineFailed, match=r"did not answer within 0\.3 s"):
        await child.score([asked("hold")])


async def test_idle_child_that_answers_no_trial_is_found_out(make_child: MakeChild) -> None:
    limits = replace(QUICK, idle_seconds=0.2, canary_seconds=0.2)
    child = make_child(Zombie, limits)
    await child.start()
    await child.score([asked("")])
    pid = child.pid
    assert pid
    await until(lambda: gone(pid))
    with pytest.raises(EngineFailed, match=r"answered no trial within 0\.2 s while idle"):
        await child.score([BLACK])


async def test_idle_child_that_is_well_stays(make_child: MakeChild) -> None:
    limits = replace(QUICK, idle_seconds=0.1, canary_seconds=2.0)
    child = make_child(limits=limits)
    await child.start()
    await asyncio.sleep(0.5)  # several trials; nothing comes of them
    assert (await child.score([NOISE]))[0].score > 0.4


async def test_start_that_fails_says_why(make_child: MakeChild) -> None:
    with pytest.raises(EngineFailed, match=r"model\.safetensors is missing: download it again"):
        await make_child(Unloadable).start()
    with pytest.raises(EngineFailed, match=r"could not be started: MemoryError: CUDA out of mem"):
        await make_child(Broken).start()


async def test_load_has_a_deadline(make_child: MakeChild) -> None:
    child = make_child(SlowLoader, replace(QUICK, load_seconds=1.5))
    with pytest.raises(EngineFailed, match=r"was not loaded within 1\.5 s"):
        await child.start()
    assert child.pid is None


async def test_start_that_is_cancelled_leaves_no_child(make_child: MakeChild) -> None:
    child = make_child(SlowLoader)
    starting = asyncio.create_task(child.start())
    await until(lambda: child.pid is not None)
    pid = child.pid
    assert pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert gone(pid)


async def test_close_is_bounded_whatever_the_child_does(make_child: MakeChild) -> None:
    child = make_child(Clingy, Limits())
    await child.start()
    pid = child.pid
    assert pid
    before = time.monotonic()
    await child.close()
    assert time.monotonic() - before <= 4.0
    assert gone(pid)
    await child.close()
    with pytest.raises(EngineFailed, match="closed"):
        await child.score([BLACK])


async def test_what_a_child_has_started_ends_with_it(make_child: MakeChild) -> None:
    child = make_child()
    await child.start()
    assert child.pid
    await child.score([asked("child")])
    (grandchild,) = children(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        await child.score([asked("hold")])
    # It is init's now, which may take its time to read the status.
    await until(lambda: ended(grandchild))


async def test_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from edgewatch.pipeline.engines.child import ChildModel\n"
        "from tests.pipeline.engines.child.conftest import SETUP\n"
        "from tests.pipeline.engines.child.hosted import Obedient\n"
        "async def main():\n"
        "    child = ChildModel(SETUP, create=Obedient, environment={'PYTHONPATH': '.'})\n"
        "    await child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    # Stopped, so that it is the kernel that ends it.
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    await until(lambda: ended(pid))


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _maps() -> str:
    return Path("/proc/self/maps").read_text()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("restarts", [6, pytest.param(20, marks=pytest.mark.long)])
async def test_restarts_leave_nothing_behind(make_child: MakeChild, restarts: int) -> None:
    """No process, descriptor, mapping, or file in /dev/shm is left; killed or closed alike."""
    child = make_child()
    await child.start()
    await child.score([NOISE])
    await child.close()
    shared = set(os.listdir("/dev/shm"))
    descriptors = _descriptors()
    before = children(os.getpid())
    for number in range(restarts):
        await child.start()
        assert (await child.score([NOISE]))[0].score > 0.4
        if number % 2:
            assert child.pid
            os.kill(child.pid, signal.SIGKILL)
            with pytest.raises(EngineFailed, match="signal 9"):
                await child.score([asked("hold")])
        await child.close()
    assert set(os.listdir("/dev/shm")) <= shared
    assert _descriptors() == descriptors
    assert children(os.getpid()) == before
    assert "edgewatch-clips" not in _maps()


def test_the_repr_of_a_childs_task_holds_no_token() -> None:
    child = ChildModel(replace(SETUP, token="sesame"))
    assert "sesame" not in repr(vars(child))
