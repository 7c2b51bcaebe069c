"""Dialects: what an image server is asked, and where the picture stands in its answer. Pure.

Sources: NVIDIA NIM for visual generative AI, API reference (`/v1/infer`); OpenAI's API reference
(`/v1/images/generations`) with the fields of TensorRT-LLM's `trtllm-serve`, which answers 422 to
any other: nothing is sent that is not named here.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import SceneModel
from edgewatch.pipeline.scenes.setup import Dialect

GREATEST_SEED = 2**32 - 2
LONGEST_PROMPT = 8000

_PATHS = {"nim": "/infer", "openai": "/images/generations"}
_PROBES = {"nim": "/health/ready", "openai": "/models"}


@dataclass(frozen=True, slots=True)
class PictureQuestion:
    """What a picture is asked for."""

    prompt: str
    seed: int
    """Ours, from 0."""
    size: tuple[int, int]
    """Width and height in pixels."""
    steps: int


def base_of(url: str) -> str:
    """Return a server's address up to `/v1`, which may be left out."""
    plain = url.rstrip("/")
    return plain if plain.endswith("/v1") else f"{plain}/v1"


def picture_path(dialect: Dialect) -> str:
    """Return where a picture is asked for, below `/v1`."""
    return _PATHS[dialect]


def probe_path(dialect: Dialect) -> str:
    """Return what is asked to find out whether a server is there, below `/v1`."""
    return _PROBES[dialect]


def sent_seed(seed: int) -> int:
    """Return the seed a server is sent: ours plus one, as 0 means "a random one" to NIM.

    Raises SceneRefused for a seed outside of what servers take.
    """
    if not 0 <= seed <= GREATEST_SEED:
        raise SceneRefused(f"seed {seed} is not 0 to {GREATEST_SEED}, which image servers take")
    return seed + 1


def request_body(model: SceneModel, dialect: Dialect, question: PictureQuestion) -> bytes:
    """Return the JSON of a request. Raises SceneRefused for what the server would refuse."""
    if not question.prompt.strip() or len(question.prompt) > LONGEST_PROMPT:
        raise SceneRefused(f"a prompt has 1 to {LONGEST_PROMPT} characters")
    width, height = question.size
    body: dict[str, Any] = {"prompt": question.prompt, "seed": sent_seed(question.seed)}
    if dialect == "nim":
        body |= {
            "mode": "base",
            "steps": question.steps,
            "width": width,
            "height": height,
            "cfg_scale": model.guidance,
        }
    else:
        body |= {
            "size": f"{width}x{height}",
            "n": 1,
            "num_inference_steps": question.steps,
            "guidance_scale": model.guidance,
            "response_format": "b64_json",
        }
        if model.max_text_tokens > 77:  # CLIP alone has no other length
            body["max_sequence_length"] = model.max_text_tokens
    return json.dumps(body).encode()


def picture_in(answer: bytes, dialect: Dialect) -> bytes:
    """Return the file of the picture in an answer. Raises SceneInvalid."""
    try:
        document = json.loads(answer)
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise SceneInvalid("the image server's answer is no JSON") from None
    entry = _first(document, "artifacts" if dialect == "nim" else "data")
    text = entry.get("base64" if dialect == "nim" else "b64_json")
    reason = entry.get("finishReason")
    if isinstance(reason, str) and reason.upper() not in ("SUCCESS", ""):
        raise SceneInvalid(
            f"the image server held the picture back ({_plain(reason)}). Word the prompt otherwise"
        )
    if not isinstance(text, str) or not text:
        if isinstance(entry.get("url"), str):
            raise SceneInvalid(
                "the image server answered with a link, though it was asked for the picture "
                "(response_format b64_json); links are not followed"
            )
        raise SceneInvalid("the image server's answer holds no picture. Is [scenes] dialect right?")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SceneInvalid("the picture in the server's answer is cut off or damaged") from None


def complaint_in(answer: bytes) -> str:
    """Return what a server says is wrong, fit to be shown: one line, 300 characters."""
    try:
        document = json.loads(answer)
    except (ValueError, UnicodeDecodeError, RecursionError):
        return ""
    said: Any = document
    for key in ("detail", "error", "message"):
        if isinstance(said, dict) and key in said:
            said = said[key]
    if said is document:
        return ""
    return _plain(said if isinstance(said, str) else json.dumps(said))


def _first(document: Any, key: str) -> dict[str, Any]:
    entries = document.get(key) if isinstance(document, dict) else None
    entry = entries[0] if isinstance(entries, list) and entries else None
    return entry if isinstance(entry, dict) else {}


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:300].strip()
