"""Scoring over real HTTP: what goes out, what comes back, and every fault in between."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.remote import RemoteModel
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer
from tests.fakes.openai_server import Fault, Kind, OpenAiServer, serving
from tests.pipeline.engines.remote.asking import GREEN, PROMPT, RED, TOKEN, clip, clips, started


def scores(answers: list[Answer]) -> list[float]:
    return [round(answer.score, 3) for answer in answers]


def peak_signal_to_noise(one: Any, other: Any) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error))


# What arrives


@pytest.mark.parametrize("send", ["video", "images"])
@pytest.mark.parametrize("kind", ["vllm", "trtllm", "nim"])
async def test_every_kind_of_server_scores_clips_sent_as_video_or_pictures(
    kind: Kind, send: str
) -> None:
    server = OpenAiServer(kind=kind, token=TOKEN)
    async with serving(server), started(server, send=send) as model:
        answers = await model.score([clip(RED), clip(GREEN)])
        assert scores(answers) == [0.9, 0.1]
        assert not any(answer.uncertain for answer in answers)


async def test_what_the_server_decodes_is_what_was_sent() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        sent = clip(RED, frames=8, fps=4.0)
        await model.score([sent])
        (got,) = server.scored
        assert (got.fps, got.told_fps, got.frames.shape) == (4.0, 4.0, sent.frames.shape)
        assert peak_signal_to_noise(got.frames, sent.frames) > 33.0
        # The square is where it was in each frame, so none is lost, doubled or out of order.
        for one, other in zip(got.frames, sent.frames, strict=True):
            assert abs(left_edge(one) - left_edge(other)) <= 1


def left_edge(frame: Any) -> int:
    return int(np.argmax((frame[..., 0] > 150).any(axis=0)))


async def test_pictures_are_nearly_what_was_sent_and_said_to_be_one_video() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, send="images") as model:
        sent = clip(RED)
        answer = (await model.score([sent]))[0]
        (got,) = server.scored
        assert peak_signal_to_noise(got.frames, sent.frames) > 38.0
        assert got.text.startswith("The 8 pictures are frames of one video, 4 a second, in order.")
        assert answer.prompt_hash != verdict_question(PROMPT, Form()).hash


async def test_the_question_is_the_one_that_its_hash_stands_for() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        answer = (await model.score([clip()]))[0]
        question = verdict_question(PROMPT, Form())
        (got,) = server.scored
        assert (got.system, got.text) == (question.system, question.user)
        assert answer.prompt_hash == question.hash


async def test_a_server_that_cannot_be_told_the_rate_is_sent_the_one_it_takes_for_granted() -> None:
    server = OpenAiServer(kind="trtllm")
    async with serving(server), started(server) as model:
        assert scores(await model.score([clip(frames=8, fps=4.0)])) == [0.9]
        (got,) = server.scored
        assert (len(got.frames), got.fps, got.told_fps) == (4, 2.0, None)


async def test_an_answer_is_begun_for_the_model_where_the_server_goes_on_with_it() -> None:
    server = OpenAiServer()
    form = Form(answer_prefix="<think></think>")
    async with serving(server), started(server, form=form) as model:
        await model.score([clip()])
        assert server.scored[0].prefix == form.answer_prefix


async def test_answers_may_be_other_words() -> None:
    server = OpenAiServer(answers=("A", "B"))
    async with serving(server), started(server, form=Form("A", "B")) as model:
        assert scores(await model.score([clip(RED), clip(GREEN)])) == [0.9, 0.1]


async def test_little_mass_on_both_answers_is_uncertain() -> None:
    server = OpenAiServer(mass=0.3)
    async with serving(server), started(server) as model:
        (answer,) = await model.score([clip(RED)])
        assert answer.uncertain
        assert answer.score == pytest.approx(0.9)


async def test_the_name_tells_model_and_weights_and_is_the_same_at_each_start() -> None:
    server, other = OpenAiServer(), OpenAiServer(root="/models/Cosmos-Reason1-7B-NVFP4")
    async with serving(server, other):
        names = []
        for one in (server, server, other):
            async with started(one) as model:
                names.append(model.name)
        assert names[0] == names[1] != names[2]
        assert names[0].startswith("remote:cosmos@")


@pytest.mark.parametrize("send", ["video", "images", "image"])
async def test_question_about_a_still_is_asked_with_one_picture(
    send: Literal["video", "images", "image"],
) -> None:
    """Whatever else the server is sent, and without a word about cameras or videos."""
    still = AskedClip(np.full((2, 56, 84, 3), 90, np.uint8), 2.0, "", "Is it grey?", still=True)
    server = OpenAiServer()
    async with serving(server), started(server, send=send) as model:
        assert await model.words(still) == "A red square moves to"
        asked = server.seen[-1]
        assert (asked.kind, asked.frames.shape, asked.text) == (
            "images",
            (1, 56, 84, 3),
            "Is it grey?",
        )
        assert asked.system == "You are a helpful assistant."
        clip_words = await model.words(replace(clip(), question="What moves?"))
        assert clip_words == "A red square moves to"
        assert server.seen[-1].text.endswith("What moves?")
        assert server.violations == []


async def test_server_without_probabilities_will_do_where_words_alone_are_wanted() -> None:
    server = OpenAiServer(always=Fault("no_logprobs"))
    async with serving(server):
        async with started(server, send="image", judges=False) as model:
            assert await model.words(replace(clip(), question="?", still=True))
        with pytest.raises(EngineFailed, match="log-probabilities"):
            async with started(server, send="image"):
                pass


# One clip's trouble


@pytest.mark.parametrize(
    "fault",
    [
        Fault("garbage"),
        Fault("no_logprobs"),
        Fault("other_tokens"),
        Fault("token_ids"),
        Fault("nan"),
        Fault("huge"),
        Fault("status", status=500),
        Fault("status", status=400),
    ],
    ids=lambda fault: f"{fault.trick}-{fault.status}",
)
async def test_an_answer_that_is_none_costs_its_clip_alone(fault: Fault) -> None:
    server = OpenAiServer(token=TOKEN)
    async with serving(server), started(server) as model:
        server.faults.append(fault)
        asked = clips(4)
        answers = await model.score(asked)
        assert [math.isnan(answer.score) for answer in answers].count(True) == 1
        assert len(server.scored) == 4, "it was asked again"
        assert scores(await model.score([clip(RED)])) == [0.9]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset"),
        Fault("cut"),
        Fault("status", status=503),
        Fault("status", status=502),
        Fault("status", status=504),
        Fault("status", status=429),
    ],
    ids=lambda fault: f"{fault.trick}-{fault.status}",
)
async def test_a_request_that_came_to_nothing_is_made_again_and_none_twice(fault: Fault) -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.faults.extend([fault, fault])
        asked = clips(4)
        assert scores(await model.score(asked)) == [0.1, 0.9, 0.1, 0.9]
        assert len(server.scored) == 6
        assert sorted(server.verdicts.values()) == [1, 1, 1, 1]


async def test_retry_after_is_honoured() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.faults.append(Fault("status", status=429, headers=(("Retry-After", "1"),)))
        loop = asyncio.get_running_loop()
        begin = loop.time()
        assert scores(await model.score([clip(RED)])) == [0.9]
        assert loop.time() - begin >= 1.0


async def test_a_server_that_stays_busy_leaves_the_clip_to_be_tried_again() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, request_seconds=1.5) as model:
        server.always = Fault("status", status=429)
        with pytest.raises(EngineBusy, match="429"):
            await model.score([clip(RED)])
        server.always = None
        assert scores(await model.score([clip(RED)])) == [0.9]


async def test_answered_clips_of_a_failed_batch_are_not_asked_about_again() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, request_seconds=2.5) as model:
        server.faults.append(Fault("hold"))
        asked = clips(4)
        with pytest.raises(EngineFailed, match=r"did not answer within 2\.5 s"):
            await model.score(asked)
        assert len(server.scored) == 4
        await model.close()
        await model.start()
        assert scores(await model.score(asked)) == [0.1, 0.9, 0.1, 0.9]
        # Three were answered in the first batch, the one that hung in the second.
        assert len(server.scored) == 5
        assert sorted(server.verdicts.values()) == [1, 1, 1, 1]


# The server's trouble


async def test_a_server_that_hangs_is_given_up_and_its_request_aborted() -> None:
    server = OpenAiServer()
    async with serving(server), started(server, request_seconds=1.5) as model:
        server.always = Fault("hold")
        with pytest.raises(EngineFailed, match=r"did not answer within 1\.5 s"):
            await model.score([clip(RED)])
        await server.until(lambda: server.aborted == 1 and server.in_flight == 0)


async def test_being_cancelled_ends_the_requests_on_the_server() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.always = Fault("hold")
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(model.score(clips(3)))
            await server.until(lambda: server.in_flight == 3)
            scoring.cancel()
        await server.until(lambda: server.in_flight == 0)
        assert server.aborted == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_is_said_without_the_token(status: int) -> None:
    server = OpenAiServer(token=TOKEN)
    async with serving(server), started(server) as model:
        server.always = Fault("status", status=status)
        with pytest.raises(EngineFailed) as failed:
            await model.score([clip()])
        assert "refused the token: check [engine] token_file" in str(failed.value)
        assert TOKEN not in str(failed.value)
        assert TOKEN not in repr(failed.value.__cause__) + repr(model)


async def test_a_redirect_is_not_followed() -> None:
    server = OpenAiServer(token=TOKEN)
    async with serving(server), started(server) as model:
        server.always = Fault("redirect")
        with pytest.raises(EngineFailed, match=r"points to another address: set \[engine\] url"):
            await model.score([clip()])
        assert server.elsewhere == 0


async def test_a_server_that_serves_another_model_by_now_is_asked_no_more() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.always = Fault("other_model")
        with pytest.raises(EngineFailed, match='serves "another" by now'):
            await model.score([clip()])


@pytest.mark.parametrize(
    "fault", [Fault("garbage"), Fault("reset"), Fault("status", status=500)], ids=str
)
async def test_a_server_that_fails_always_ends_as_a_failed_engine(fault: Fault) -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.always = fault
        with pytest.raises(EngineFailed, match="no server can be asked"):
            await scored_often(model)


async def scored_often(model: RemoteModel) -> None:
    """Score more often than a server may fail in a row."""
    for _ in range(4):
        await model.score([clip()])


async def test_a_killed_server_fails_the_engine_and_a_new_start_finds_it_again() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        await server.kill()
        with pytest.raises(EngineFailed, match="broke the connection"):
            await model.score([clip()])
        with pytest.raises(EngineFailed, match="no server can be asked"):
            await model.start()
        await server.start()
        await model.start()
        assert scores(await model.score([clip()])) == [0.9]


async def test_clips_in_flight_at_a_killed_server_are_asked_about_again_and_judged_once() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.always = Fault("hold")
        asked = clips(4)
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(model.score(asked))
            await server.until(lambda: server.in_flight == 4)
            server.always = None
            await server.kill()
            await server.start()
        assert scores(scoring.result()) == [0.1, 0.9, 0.1, 0.9]
        assert sorted(server.verdicts.values()) == [1, 1, 1, 1]


async def test_closing_ends_what_is_under_way() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        server.always = Fault("hold")
        async with asyncio.TaskGroup() as tasks:
            scoring = tasks.create_task(outcome(model))
            await server.until(lambda: server.in_flight == 1)
            await model.close()
            assert "no server can be asked" in await scoring
        await server.until(lambda: server.in_flight == 0)


async def outcome(model: RemoteModel) -> str:
    """Score a clip and return what went wrong."""
    with pytest.raises(EngineFailed) as failed:
        await model.score([clip()])
    return str(failed.value)


async def test_the_environments_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = OpenAiServer()
    server = OpenAiServer()
    async with serving(server, proxy):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with started(server) as model:
            await model.score([clip()])
        assert proxy.request_ids == []


async def test_an_engine_that_was_not_started_says_so() -> None:
    server = OpenAiServer()
    async with serving(server), started(server) as model:
        await model.close()
        await model.close()
        with pytest.raises(EngineFailed, match="not started"):
            await model.score([clip()])
