"""What `bench.native` measures: the network in 7B's real shape, with random weights.

Every weight is drawn on the device itself from its name alone, in bfloat16: so no file is needed,
and transformers' model, in any type, gets the very same numbers without both being held at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from bench.engine_subjects import CONFIG_7B, TEXT_AFTER, TEXT_BEFORE
from edgewatch.pipeline.engines.answers import AnswerTokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.operations import operations_for
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sizes import Sizes, sizes_of
from edgewatch.pipeline.engines.native.weights.assembly import assemble, expected_shapes
from edgewatch.pipeline.engines.native.weights.source import PlainSource
from edgewatch.pipeline.engines.question import Form, Question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, PixelRules
from edgewatch.pipeline.engines.qwen.script import Script, ScriptReader
from tests.fakes.tiny_qwen import PIXEL_RULES, SPECIAL, VOCABULARY, tiny_config

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.arithmetic import Operations
    from edgewatch.pipeline.engines.native.language import LanguageWeights
    from edgewatch.pipeline.engines.native.vision import VisionWeights
    from edgewatch.pipeline.engines.native.weights.assembly import Source

Precision = Literal["bf16", "fp8"]
ShapeName = Literal["7b", "tiny"]
FRAMES, SIDE, FPS = 20, 252, 4.0
TEXT_LAST = 22
"""Tokens after the video where the question stands before it; all others stand in front."""
DEVIATION = 0.02
RULES = PixelRules(
    mean=tuple(PIXEL_RULES["image_mean"]),
    std=tuple(PIXEL_RULES["image_std"]),
    rescale_factor=1 / 255,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A network's sizes, and config.json as transformers takes it."""

    name: ShapeName
    config: Mapping[str, Any]
    answers: AnswerTokens
    text_tokens: int
    """Tokens that a random text is made of: all below this."""

    @property
    def sizes(self) -> Sizes:
        """As the native engine reads them."""
        return sizes_of(self.config)

    @property
    def video_token(self) -> int:
        """What stands for a video's tokens."""
        return int(self.config["video_token_id"])


def shape_of(name: ShapeName) -> Shape:
    """Return 7B's shape, or that of the tests' tiny model."""
    if name == "7b":
        answers = AnswerTokens((9454, 7414, 9693, 9834), (2753, 2308, 902, 5664))
        return Shape(name, CONFIG_7B, answers, 150_000)
    first = VOCABULARY - len(SPECIAL)
    specials = {text: first + number for number, text in enumerate(SPECIAL)}
    return Shape(name, tiny_config(specials), AnswerTokens((1, 2), (3, 4)), first)


class RandomWeights:
    """Weights by name, drawn anew at each reading; stands where `StoredWeights` does."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> None:
        self._shapes = shapes
        self._device = device

    def read(self, name: str) -> torch.Tensor:
        """Return a weight in bfloat16: about 0, and norms about 1."""
        import torch

        random = torch.Generator(self._device).manual_seed(zlib.crc32(name.encode()))
        made = torch.empty(self._shapes[name], dtype=torch.bfloat16, device=self._device)
        norm = made.ndim == 1 and not name.endswith(".bias")
        return made.normal_(1.0 if norm else 0.0, DEVIATION, generator=random)


class FixedScripts:
    """Random text of a length in front of the video and behind it, for every question the same."""

    def __init__(self, shape: Shape, before: int = TEXT_BEFORE, after: int = TEXT_AFTER) -> None:
        tokens = np.random.default_rng(0).integers(0, shape.text_tokens, before + after).tolist()
        self._script = Script(tuple(tokens[:before]), tuple(tokens[before:]))

    def script(self, question: Question) -> Script:
        """Return the one script."""
        return self._script

    def encode(self, text: str) -> list[int]:
        """Return a token for each letter."""
        return [ord(letter) % 64 for letter in text]

    def decode(self, tokens: list[int]) -> str:
        """Return the tokens' numbers."""
        return " ".join(str(token) for token in tokens)


class VariedScripts(FixedScripts):
    """Random text whose lengths are told by the question."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, 0, 1)
        self._shape = shape

    def script(self, question: Question) -> Script:
        """Return a script of 10 to 300 tokens in front and 5 to 60 behind, the same each time."""
        random = np.random.default_rng(zlib.crc32(question.user.encode()))
        before, after = int(random.integers(10, 300)), int(random.integers(5, 60))
        tokens = random.integers(0, self._shape.text_tokens, before + after).tolist()
        return Script(tuple(tokens[:before]), tuple(tokens[before:]))


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Both parts' weights on the device."""

    shape: Shape
    vision: VisionWeights
    language: LanguageWeights

    def network(self, operations: Operations | None = None) -> Network:
        """Put a network together; `operations`: None takes the engine's own choice."""
        language = self.language.embeddings
        return Network(
            self.shape.sizes,
            self.vision,
            self.language,
            RULES,
            operations or operations_for(language.device, language.dtype),
        )


def random_source(shape: Shape, device: torch.device, precision: Precision) -> Source:
    """Return random weights as the engine's own source makes products of them."""
    import torch

    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    weights = RandomWeights(expected_shapes(shape.sizes), device)
    return PlainSource(weights, dtype, "fp8" if precision == "fp8" else "plain")


def weights_of(shape: Shape, source: Source) -> Weights:
    """Build the whole network's weights."""
    import torch

    with torch.inference_mode():
        return Weights(shape, *assemble(shape.sizes, source))


def checkpoint_of(shape: Shape) -> Checkpoint:
    """Return what the engine wants to know of a checkpoint, of one that is no file."""
    return Checkpoint(
        directory=Path("random"),
        hash="00000000",
        pixels=RULES,
        tokens_per_second=float(shape.config["vision_config"]["tokens_per_second"]),
        video_token=shape.video_token,
        stop_tokens=(),
        quantisation=None,
    )


def scorer_of(
    network: Network,
    shape: Shape,
    scripts: FixedScripts,
    *,
    most_clips: int,
    words_tokens: int = 0,
    sight_bytes: int = 0,
) -> Scorer:
    """Return a scorer that asks a network; its caches are its own."""
    return Scorer(
        network,
        checkpoint_of(shape),
        cast("ScriptReader", scripts),
        shape.answers,
        Form(words_tokens=words_tokens),
        most_clips=most_clips,
        sight_bytes=sight_bytes,
    )


def noise_clips(
    count: int, *, frames: int = FRAMES, height: int = SIDE, width: int = SIDE, seed: int = 0
) -> list[AskedClip]:
    """Return clips of noise: nothing that is timed depends on what is seen."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, frames, height, width, 3), np.uint8)
    return [AskedClip(one, FPS, "Report anything.") for one in pixels]


class Cameras:
    """Cameras whose clips overlap by half, without end: pictures of noise that come round again.

    Each frame has a time of its own, so nothing is taken for what was seen a round before.
    """

    def __init__(self, count: int, *, frames: int = FRAMES, side: int = SIDE) -> None:
        """`frames`: of a clip, a multiple of 4."""
        self._frames = frames
        random = np.random.default_rng(1)
        self._phases: list[list[npt.NDArray[np.uint8]]] = []
        """Of each camera: its three clips, of which each begins in the middle of the one before."""
        for _ in range(count):
            halves = random.integers(0, 256, (3, frames // 2, side, side, 3), np.uint8)
            order = ((0, 1), (1, 2), (2, 0))
            self._phases.append([np.concatenate([halves[a], halves[b]]) for a, b in order])
        self._step = 0

    def next(self) -> list[AskedClip]:
        """Return the next clip of each camera."""
        first = self._step * self._frames // 2
        times = tuple((first + number) / FPS for number in range(self._frames))
        phase, self._step = self._step % 3, self._step + 1
        return [
            AskedClip(
                phases[phase], FPS, "Report anything.", camera=f"camera-{number}", times=times
            )
            for number, phases in enumerate(self._phases)
        ]
