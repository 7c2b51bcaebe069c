"""Several servers, and words beside scores: who is asked, left out, taken back, and gives way."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.fakes.openai_server import Fault, OpenAiServer, serving
from tests.pipeline.engines.remote.asking import clip, clips, started


async def test_a_batch_is_spread_over_servers_each_within_its_slots() -> None:
    servers = [OpenAiServer(), OpenAiServer(), OpenAiServer()]
    async with serving(*servers), started(*servers, max_batch=2) as model:
        assert model.max_batch == 6
        for server in servers:
            server.always = Fault("hold")
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(model.score(clips(6)))
            for server in servers:
                await server.until(partial(has_in_flight, server, 2))
            for server in servers:
                server.released.set()
        assert len(scoring.result()) == 6


def has_in_flight(server: OpenAiServer, count: int) -> bool:
    return server.in_flight == count


async def test_more_clips_than_slots_wait_for_one() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, max_batch=2) as model:
        server.always = Fault("hold")
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(model.score(clips(5)))
            await server.until(lambda: server.in_flight == 2)
            server.released.set()
        assert len(scoring.result()) == 5
        assert server.most_in_flight == 2


async def test_a_busy_server_leaves_its_clips_to_the_others() -> None:
    one, other = OpenAiServer(), OpenAiServer()
    async with serving(one, other), started(one, other, max_batch=2) as model:
        one.always = Fault("status", status=429, headers=(("Retry-After", "60"),))
        answers = await model.score(clips(4))
        assert [answer.score > 0.5 for answer in answers] == [False, True, False, True]
        assert len(other.scored) == 4


async def test_a_dead_server_is_left_out_and_taken_back_when_it_is_well() -> None:
    one, other = OpenAiServer(), OpenAiServer()
    async with serving(one, other), started(one, other, max_batch=2) as model:
        await one.kill()
        with capture_logs() as logs:
            for _ in range(3):
                assert len(await model.score(clips(4))) == 4
        left_out = [line for line in logs if line["event"] == "server left out"]
        assert [line["server"] for line in left_out][:1] == [one.url]
        probed = len(one.seen)
        await one.start()
        # Taken back by test questions alone: no clip of ours is risked on it.
        await one.until(lambda: len(one.seen) >= probed + 3)
        while not len(one.scored) > 2:
            await model.score(clips(4))


async def test_a_hung_server_costs_a_clip_time_but_not_its_verdict() -> None:
    one, other = OpenAiServer(), OpenAiServer()
    async with serving(one, other), started(one, other, request_seconds=3.0) as model:
        one.always = Fault("hold")
        answers = await model.score(clips(4))
        assert [answer.score > 0.5 for answer in answers] == [False, True, False, True]
        assert sorted((one.verdicts + other.verdicts).values()) == [1, 1, 1, 1]
        # From now on it is not asked about clips at all, though it takes connections.
        seen = len(one.scored)
        await model.score(clips(4))
        assert len(one.scored) == seen


async def test_all_dead_is_a_failed_engine_that_names_each() -> None:
    one, other = OpenAiServer(), OpenAiServer()
    async with serving(one, other), started(one, other) as model:
        await one.kill()
        await other.kill()
        with pytest.raises(EngineFailed) as failed:
            await model.score(clips(4))
        assert one.url in str(failed.value)
        assert other.url in str(failed.value)


async def test_one_server_of_two_is_enough_to_start() -> None:
    one, other = OpenAiServer(), OpenAiServer(always=Fault("no_logprobs"))
    async with serving(one, other):
        with capture_logs() as logs:
            async with started(one, other) as model:
                assert len(await model.score(clips(4))) == 4
        assert other.scored == []
    (left_out,) = [line for line in logs if line["event"] == "server left out"]
    assert "gives no log-probabilities" in left_out["reason"]


async def test_a_server_with_other_weights_is_left_out() -> None:
    one, other = OpenAiServer(), OpenAiServer(root="/models/Cosmos-Reason1-7B-FP8")
    elsewhere = OpenAiServer(root="/data/Cosmos-Reason1-7B/")
    async with (
        serving(one, other, elsewhere),
        started(one, other, elsewhere, max_batch=2) as model,
    ):
        await model.score(clips(6))
        assert (len(one.scored) > 0, len(other.scored), len(elsewhere.scored) > 0) == (
            True,
            0,
            True,
        )


# Words


async def test_words_are_asked_for_within_their_budget() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        assert await model.words(clip()) == "A red square moves to"
        (got,) = [one for one in server.seen if not one.top]
        assert got.most_tokens == 5
        assert "In one or two plain sentences" in got.text


async def test_words_give_way_to_clips_when_every_slot_is_taken() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, max_batch=2) as model:
        server.faults.append(Fault("hold"))
        async with asyncio.TaskGroup() as tasks:
            describing = tasks.create_task(swallowed(model.words(clip())))
            await server.until(lambda: server.in_flight == 1)
            assert len(await model.score(clips(1))) == 1
            assert not describing.done(), "there was a slot left"
            assert len(await model.score(clips(2))) == 2
            assert "needed for a clip" in await describing
        assert server.aborted == 1


async def test_words_are_not_begun_while_clips_take_every_slot() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, max_batch=2) as model:
        server.always = Fault("hold")
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(model.score(clips(2)))
            await server.until(lambda: server.in_flight == 2)
            with pytest.raises(EngineBusy, match="every slot"):
                await model.words(clip())
            server.released.set()
        assert len(scoring.result()) == 2


async def test_words_that_fail_are_given_up_and_scoring_goes_on() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.faults.append(Fault("garbage"))
        with pytest.raises(EngineBusy):
            await model.words(clip())
        assert len(await model.score(clips(2))) == 2


async def swallowed(words: object) -> str:
    """Return the words, or why there are none."""
    assert asyncio.iscoroutine(words)
    try:
        return str(await words)
    except EngineBusy as error:
        return str(error)
