"""A family of models that see: how edgewatch runs it, and within which limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Media = Literal["video", "images", "image", "page"]
"""What a family is shown: a clip as a video, several of its frames, one frame, or one frame that
it can only read as a page of text."""
Runs = Literal["transformers", "remote", "tensorrt"]
Answers = Literal["score", "words"]
Send = Literal["video", "images", "image"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a family can be shown at once."""

    frames: int | None = None
    """Most frames of a clip that are shown, evenly chosen; None: all."""
    tokens: str = ""
    """What a frame or a clip becomes, for the reader: "256 a frame"."""


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table."""

    name: str
    """As its makers write it: "LLaVA-OneVision"."""
    model_types: tuple[str, ...]
    """`model_type` of config.json, of all members."""
    media: Media
    runs: Runs
    """The engine that runs it; for "remote" and "tensorrt", transformers has no class of it."""
    transformers_class: str
    """Name of the library's class; empty where it has none."""
    prompt_form: str
    """How it is asked, for the reader: "chat template", "Question: … Answer:"."""
    answers: Answers = "score"
    """"words": it answers no question with a word, so it is used through `describe` alone."""
    limits: Limits = Limits()
    readme_name: str = ""
    """Its name among the 17 families that TensorRT-LLM's multimodal README documents; several rows
    may share one, as the three LLaVA do. Empty: a newer one."""
    note: str = ""
    """What else there is to know, in plain words."""
    members: tuple[str, ...] = ()
    """Checkpoints that are of it, as they are named where they are published."""
    servers: tuple[str, ...] = ()
    """Servers with OpenAI's interface that load it, where that is how it is run."""

    @property
    def send(self) -> Send:
        """The setting `[engine] send` for a server of it."""
        return "image" if self.media == "page" else self.media

    @property
    def readme(self) -> bool:
        """Whether it is one of the 17."""
        return bool(self.readme_name)
