"""Chat completions read as strictly as a server reads them: fields, messages, media. Pure.

What a real server would refuse is a `Refusal`; what it would accept silently to our harm (a wrong
rate, times that do not fit, an odd number of frames) is a `Violation`, and fails the test.
Sources: field names of trtllm-serve 1.2's and vLLM 0.11's ChatCompletionRequest.
"""

from __future__ import annotations

import io
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]

ASSUMED_FPS = 2.0
"""What the model's processor takes for the rate if it is not told."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPENAI = _names(
    "messages model frequency_penalty logit_bias logprobs top_logprobs max_tokens "
    "max_completion_tokens n presence_penalty response_format seed stop stream stream_options "
    "temperature top_p tools tool_choice user"
)
TRTLLM_FIELDS = _OPENAI | _names(
    "prompt_token_ids reasoning_effort prompt_ignore_length best_of use_beam_search top_k "
    "top_p_min min_p repetition_penalty length_penalty early_stopping stop_token_ids "
    "include_stop_str_in_output ignore_eos min_tokens skip_special_tokens "
    "spaces_between_special_tokens truncate_prompt_tokens lora_request echo add_generation_prompt "
    "add_special_tokens documents chat_template chat_template_kwargs disaggregated_params "
    "cache_salt"
)
VLLM_FIELDS = _OPENAI | _names(
    "mm_processor_kwargs continue_final_message add_generation_prompt echo priority "
    "repetition_penalty top_k min_p"
)


class Refusal(Exception):
    """The server says no: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Violation(Exception):
    """The client broke the contract in a way that a real server would not notice."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a request asks."""

    frames: Frames
    """As decoded: RGB, shape (frames, height, width, 3)."""
    fps: float | None
    """Of the video file; None for pictures."""
    told_fps: float | None
    """From mm_processor_kwargs."""
    kind: str
    """"video" or "images"."""
    system: str
    text: str
    prefix: str
    top: int
    """Log-probabilities wanted; 0: none, it asks for words."""
    most_tokens: int


def read(body: bytes, *, server: str, model: str) -> Asked:
    """Read a request as `server` ("vllm", "trtllm", "nim") does. Raises Refusal or Violation."""
    try:
        document = json.loads(body)
    except ValueError:
        raise Refusal(400, "no JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "no object")
    _check_fields(document, server)
    if document.get("model") != model:
        raise Refusal(404, f"The model `{document.get('model')}` does not exist.")
    _demand(document.get("temperature") == 0, "temperature is not 0: verdicts drawn by lot")
    _demand("n" not in document and not document.get("stream"), "more than one plain answer")
    most_tokens = document.get("max_tokens")
    if not isinstance(most_tokens, int) or most_tokens < 1:
        raise Refusal(400, "max_tokens must be at least 1")
    system, parts, prefix = _messages(document, server)
    kind, frames, fps = _media(parts[:-1])
    told = document.get("mm_processor_kwargs", {})
    _demand(set(told) <= {"fps"}, f"mm_processor_kwargs {told}")
    told_fps = told.get("fps")
    if told_fps is not None:
        _demand(fps is not None and abs(told_fps - fps) < 1e-3, f"told {told_fps} fps, sent {fps}")
    believed_fps = told_fps or ASSUMED_FPS
    _demand(
        fps is None or abs(believed_fps / fps - 1) < 0.15,
        f"the model takes {fps} fps for {believed_fps}",
    )
    return Asked(
        frames=frames,
        fps=fps,
        told_fps=told_fps,
        kind=kind,
        system=system,
        text=parts[-1]["text"],
        prefix=prefix,
        top=_top(document),
        most_tokens=most_tokens,
    )


def _demand(holds: bool, wrong: str) -> None:
    if not holds:
        raise Violation(wrong)


def _check_fields(document: dict[str, Any], server: str) -> None:
    known = TRTLLM_FIELDS if server == "trtllm" else VLLM_FIELDS
    for field in document:
        if field in known:
            continue
        if server == "trtllm":
            wrong = {
                "type": "extra_forbidden",
                "loc": ("body", field),
                "msg": "Extra inputs are not permitted",
                "input": document[field],
            }
            raise Refusal(400, str([wrong]))
        raise Violation(f"{server} would silently ignore {field}")


def _top(document: dict[str, Any]) -> int:
    top, wanted = document.get("top_logprobs"), document.get("logprobs")
    if top is None and not wanted:
        return 0
    if not wanted:
        raise Refusal(400, "logprobs must be true when using top_logprobs")
    if not isinstance(top, int) or isinstance(top, bool):
        raise Refusal(400, "top_logprobs is no integer")
    if not 0 <= top <= 20:
        raise Refusal(400, f"Requested sample logprobs of {top}, greater than max allowed: 20")
    _demand(document["max_tokens"] == 1, "a verdict is one token")
    return top


def _messages(document: dict[str, Any], server: str) -> tuple[str, list[dict[str, Any]], str]:
    """Return system text, the user's parts (media, then one text), and the answer's beginning."""
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "messages must be a list")
    roles = [message.get("role") for message in messages]
    goes_on = document.get("continue_final_message", False)
    if goes_on and document.get("add_generation_prompt", True):
        raise Refusal(400, "Cannot set both continue_final_message and add_generation_prompt")
    expected = ["system", "user", "assistant"] if goes_on else ["system", "user"]
    _demand(roles == expected, f"roles {roles}")
    system, parts = messages[0]["content"], messages[1]["content"]
    _demand(isinstance(system, str) and bool(system), "no system text")
    _demand(isinstance(parts, list) and len(parts) >= 2, "no media")
    _demand([part["type"] for part in parts].count("text") == 1, "not exactly one text")
    _demand(parts[-1]["type"] == "text", "the text does not follow the media")
    for message in messages:
        _demand(set(message) == {"role", "content"}, f"fields {set(message)}")
    prefix = messages[2]["content"] if goes_on else ""
    for text in (system, parts[-1]["text"], prefix):
        _demand("<|" not in text, "a control token in a text")
    _demand(not goes_on or bool(prefix), "an empty answer is gone on with")
    return system, parts, prefix


def _media(parts: list[dict[str, Any]]) -> tuple[str, Frames, float | None]:
    kinds = {part["type"] for part in parts}
    for part in parts:
        _demand(set(part) == {"type", part["type"]}, f"part {set(part)}")
        _demand(set(part[part["type"]]) == {"url"}, "more than a url")
    if kinds == {"video_url"}:
        _demand(len(parts) == 1, f"{len(parts)} videos")
        frames, fps = _video(_file(parts[0]["video_url"]["url"], "data:video/mp4;base64,"))
        found: tuple[str, Frames, float | None] = ("video", frames, fps)
    else:
        _demand(kinds == {"image_url"}, f"media {kinds}")
        pictures = [
            _picture(_file(p["image_url"]["url"], "data:image/jpeg;base64,")) for p in parts
        ]
        found = ("images", np.stack(pictures), None)
    count, height, width, _ = found[1].shape
    single = found[0] == "images" and count == 1  # for models that take one picture
    _demand(single or count % 2 == 0, f"{count} frames: the model sees pairs")
    _demand(height % 28 == 0 and width % 28 == 0, f"{width} x {height}: would be scaled again")
    return found


def _file(url: str, head: str) -> bytes:
    _demand(url.startswith(head), f"url {url[:40]}")
    return b64decode(url.removeprefix(head), validate=True)


def _video(content: bytes) -> tuple[Frames, float]:
    """Decode a video; its frames must be at exactly n / fps, its rate be the one it declares."""
    frames, times = [], []
    with av.open(io.BytesIO(content), "r") as container:
        _demand(len(container.streams) == 1, "more than a video track")
        stream = container.streams.video[0]
        _demand(stream.codec_context.name == "h264", "no H.264")
        _demand(stream.codec_context.pix_fmt == "yuv420p", "hardware would not decode it")
        rate = stream.average_rate
        for frame in container.decode(stream):
            frames.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.time)
        declared = stream.frames
        seconds = float((stream.duration or 0) * (stream.time_base or 0))
    if rate is None or not frames:
        raise Violation("a video without frames or rate")
    fps = float(rate)
    _demand(declared == len(frames), f"declares {declared} frames, has {len(frames)}")
    _demand(abs(seconds - len(frames) / fps) < 1e-3, f"lasts {seconds} s, {len(frames)} at {fps}")
    for number, time in enumerate(times):
        _demand(time is not None and abs(time - number / fps) < 1e-3, f"frame {number} at {time}")
    return np.stack(frames), fps


def _picture(content: bytes) -> Frames:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise Refusal(400, "cannot identify image file")
    rgb: Frames = picture[..., ::-1].astype(np.uint8)
    return rgb
