"""What parent and child say to each other: one message is one packet. Pure.

A packet is a JSON object: "kind", the name of its class, and the fields. Pixels and prompts never
travel in one, only the place in shared memory where they lie. See unix(7), SOCK_SEQPACKET: the
kernel keeps packets apart, so there is nothing to frame.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from edgewatch.pipeline.engines.figures import EngineFigures

MOST_BYTES = 65_536
"""Of one packet; a batch of 256 places takes half of it."""
MOST_TEXT = 4_000
"""Characters of a text; longer ones are cut."""

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip lies in shared memory."""

    slot: int
    shape: tuple[int, int, int, int]
    """Frames, height, width, 3."""
    fps: float
    prompt_bytes: int
    """UTF-8, right behind the pixels."""
    question_bytes: int = 0
    """UTF-8, behind the prompt: the clip's own question."""
    still: bool = False
    camera_bytes: int = 0
    """UTF-8, behind the question."""
    times: int = 0
    """Numbers of eight bytes, behind the camera: so many frames have one."""


@dataclass(frozen=True, slots=True)
class Score:
    """Parent to child: score clips."""

    request: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Parent to child: say in words what a clip shows."""

    request: int
    place: Place


@dataclass(frozen=True, slots=True)
class Foresee:
    """Parent to child: pairs of frames whose clips will be asked about."""

    request: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Forget:
    """Parent to child: nothing more will come of a camera."""

    camera: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Parent to child: the answer to a request is not wanted any more; it is still answered."""

    request: int


@dataclass(frozen=True, slots=True)
class Close:
    """Parent to child: close the model and end."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Child to parent: the model is loaded."""

    name: str
    max_batch: int
    batches_in_flight: int = 1
    foresees: bool = False
    """Whether it takes `Foresee`."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Child to parent: the scores of a request's clips, in order."""

    request: int
    answers: tuple[tuple[float, bool, str], ...]
    """(score, uncertain, prompt_hash)."""
    figures: EngineFigures = field(default_factory=EngineFigures)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Child to parent: the places of a `Foresee` are free again."""

    request: int


@dataclass(frozen=True, slots=True)
class Described:
    """Child to parent: words."""

    request: int
    words: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Child to parent: a request has no answer, and why."""

    request: int
    why: Literal["busy", "failed", "cancelled"]
    what: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Child to parent: the model is broken, or could not be started."""

    what: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """Child to parent: a sign of life."""


@dataclass(frozen=True, slots=True)
class Log:
    """Child to parent: one line for the log."""

    level: Level
    event: str
    keys: dict[str, str | int | float | bool | None] = field(default_factory=dict)


Message = (
    Score
    | Describe
    | Foresee
    | Forget
    | Cancel
    | Close
    | Ready
    | Scored
    | Described
    | Foreseen
    | Refused
    | Failed
    | Beat
    | Log
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Score, Describe, Foresee, Forget, Cancel, Close),
        *(Ready, Scored, Described, Foreseen, Refused, Failed, Beat, Log),
    )
}


def encode(message: Message) -> bytes:
    """Write a message. Raises ValueError if it is longer than a packet may be."""
    fields = {"kind": type(message).__name__, **asdict(message)}
    packet = json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()
    if len(packet) > MOST_BYTES:
        raise ValueError(f"a {type(message).__name__} of {len(packet)} bytes is too long")
    return packet


def decode(packet: bytes) -> Message:
    """Read a message. Raises ValueError if it is none."""
    if len(packet) > MOST_BYTES:
        raise ValueError(f"a packet of {len(packet)} bytes is too long")
    try:
        fields = json.loads(packet)
        kind = _KINDS[fields.pop("kind")]
        match kind.__name__:
            case "Score" | "Foresee":
                fields["places"] = tuple(_place(one) for one in fields["places"])
            case "Describe":
                fields["place"] = _place(fields["place"])
            case "Scored":
                fields["answers"] = tuple(
                    (float(score), bool(uncertain), str(prompt_hash))
                    for score, uncertain, prompt_hash in fields["answers"]
                )
                counts = {key: int(value) for key, value in fields["figures"].items()}
                fields["figures"] = EngineFigures(**counts)
        message: Message = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no message: {packet[:80]!r} ({error})") from error
    return message


def cut(text: str, most: int = MOST_TEXT) -> str:
    """Return a text that fits into a message."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _place(fields: dict[str, Any]) -> Place:
    frames, height, width, channels = (int(size) for size in fields["shape"])
    return Place(
        slot=int(fields["slot"]),
        shape=(frames, height, width, channels),
        fps=float(fields["fps"]),
        prompt_bytes=int(fields["prompt_bytes"]),
        question_bytes=int(fields["question_bytes"]),
        still=bool(fields["still"]),
        camera_bytes=int(fields["camera_bytes"]),
        times=int(fields["times"]),
    )
