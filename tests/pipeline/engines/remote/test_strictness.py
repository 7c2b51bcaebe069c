"""The strict server finds every mistake, also those that real ones let pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.remote.bodies import Attachment, verdict_body
from edgewatch.pipeline.engines.remote.dialect import TRTLLM, VLLM
from edgewatch.pipeline.engines.remote.media import Shown, jpegs_of, mp4_of
from tests.fakes.openai_chat import Refusal, Violation, read
from tests.fakes.openai_server import moving_square

QUESTION = verdict_question("A red square is an anomaly.", Form())
SQUARE = moving_square(8, 84, (230, 60, 20))


def video(frames: Any = SQUARE, fps: float = 4.0, told_fps: float = 4.0) -> Attachment:
    return Attachment("video_url", "video/mp4", (mp4_of(Shown(frames, fps)),), told_fps)


def body(attachment: Attachment, **changes: Any) -> dict[str, Any]:
    """Return a request for vLLM; what is changed to None is left out."""
    document = json.loads(verdict_body("cosmos", QUESTION, attachment, VLLM)) | changes
    return {key: value for key, value in document.items() if value is not None}


def asked(document: dict[str, Any], server: str = "vllm") -> None:
    read(json.dumps(document).encode(), server=server, model="cosmos")


def test_what_we_send_is_right_for_each_server() -> None:
    asked(body(video()))
    asked(body(video()), "nim")
    slow = Attachment("video_url", "video/mp4", (mp4_of(Shown(SQUARE[::2], 2.0)),), 2.0)
    read(
        verdict_body("cosmos", QUESTION, slow, TRTLLM.without_fps()),
        server="trtllm",
        model="cosmos",
    )
    pictures = Attachment("image_url", "image/jpeg", tuple(jpegs_of(Shown(SQUARE, 4.0))), 4.0)
    for server in ("vllm", "trtllm", "nim"):
        asked(body(pictures), server)


@pytest.mark.parametrize(
    ("changes", "server"),
    [
        ({}, "trtllm"),  # mm_processor_kwargs
        ({"model": "other"}, "vllm"),
        ({"max_tokens": 0}, "vllm"),
        ({"max_tokens": None}, "vllm"),
        ({"logprobs": None}, "vllm"),
        ({"top_logprobs": 21}, "vllm"),
        ({"messages": []}, "vllm"),
        ({"continue_final_message": True}, "vllm"),
        ({"continue_final_message": True, "mm_processor_kwargs": None}, "trtllm"),
    ],
)
def test_what_a_real_server_refuses_is_refused(changes: dict[str, Any], server: str) -> None:
    with pytest.raises(Refusal):
        asked(body(video(), **changes), server)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": None},
        {"temperature": 0.7},
        {"n": 2},
        {"stream": True},
        {"max_tokens": 7},
        {"mm_processor_kwargs": None},  # 4 fps would be taken for 2
        {"mm_processor_kwargs": {"fps": 2.0}},
        {"mm_processor_kwargs": {"fps": 4.0, "do_sample_frames": True}},
        {"misspelt": 1},
    ],
    ids=str,
)
def test_what_a_real_server_lets_pass_to_our_harm_is_found(changes: dict[str, Any]) -> None:
    with pytest.raises(Violation):
        asked(body(video(), **changes))


def edited(edit: Callable[[list[dict[str, Any]]], Any]) -> dict[str, Any]:
    document = body(video())
    edit(document["messages"])
    return document


@pytest.mark.parametrize(
    "edit",
    [
        lambda messages: messages.pop(0),
        lambda messages: messages.append(messages[1]),
        lambda messages: messages[1]["content"].reverse(),
        lambda messages: messages[1]["content"].pop(0),
        lambda messages: messages[1]["content"].insert(0, messages[1]["content"][0]),
        lambda messages: messages[1]["content"][-1].update(text="<|im_end|>"),
        lambda messages: messages[1]["content"][0]["video_url"].update(url="http://elsewhere/"),
        lambda messages: messages[1]["content"][0]["video_url"].update(detail="low"),
    ],
    ids=["no system", "two users", "text first", "no video", "two", "control", "url", "detail"],
)
def test_messages_in_any_other_form_are_found(edit: Callable[[Any], Any]) -> None:
    with pytest.raises(Violation):
        asked(edited(edit))


@pytest.mark.parametrize(
    "attachment",
    [
        video(SQUARE[:7]),
        video(moving_square(8, 90, (230, 60, 20))),
        video(fps=8.0),
        Attachment("image_url", "image/jpeg", tuple(jpegs_of(Shown(SQUARE[:3], 4.0))), 4.0),
        Attachment("image_url", "image/png", tuple(jpegs_of(Shown(SQUARE, 4.0))), 4.0),
    ],
    ids=["odd video", "size", "rate", "odd pictures", "type"],
)
def test_media_that_the_model_would_see_otherwise_are_found(attachment: Attachment) -> None:
    with pytest.raises(Violation):
        asked(body(attachment))


def test_what_is_no_picture_is_refused() -> None:
    noise = np.random.default_rng(1).bytes(500)
    with pytest.raises(Refusal):
        asked(body(Attachment("image_url", "image/jpeg", (noise, noise), 4.0)))
