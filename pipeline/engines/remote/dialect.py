"""Dialects: in what servers with OpenAI's interface differ, as far as it matters here. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

ASSUMED_FPS = 2.0
"""What Qwen2.5-VL's processor takes for a video's rate where it is told none."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of server understands, and how people switch on what it must be able to do."""

    name: str
    takes_fps: bool
    """Reads `mm_processor_kwargs`: the rate of the frames. One that forbids unknown fields and
    lacks it (trtllm-serve 1.2) answers 400; then `without_fps` holds."""
    takes_prefix: bool
    """Can go on with an answer that was begun for it (`continue_final_message`)."""
    logprobs_cure: str
    frames_cure: str
    """How to let it read every frame of a video; `{frames}` and `{fps}` stand for the clips'."""

    @property
    def wanted_fps(self) -> float | None:
        """Rate at which a clip must be sent to be read in its true time; None: at its own."""
        return None if self.takes_fps else ASSUMED_FPS

    def without_fps(self) -> Dialect:
        """Return the dialect of such a server that cannot be told the rate."""
        return replace(self, takes_fps=False)


VLLM = Dialect(
    name="vLLM",
    takes_fps=True,
    takes_prefix=True,
    logprobs_cure="start vLLM with --max-logprobs 20 (or leave the option out: 20 is its default) "
    "and without --return-tokens-as-token-ids",
    # Up to 0.23 it reads `num_frames` (32 if not told), from 0.24 on `fps` alone (2 if not told).
    frames_cure="start vLLM with --media-io-kwargs "
    '\'{{"video": {{"num_frames": {frames}, "fps": {fps:g}}}}}\'',
)
TRTLLM = Dialect(
    name="trtllm-serve",
    takes_fps=True,  # from 1.3 on; what the server is asked first tells
    takes_prefix=False,
    logprobs_cure="start trtllm-serve with --backend pytorch",
    frames_cure="start trtllm-serve with "
    '--media_io_kwargs \'{{"video": {{"num_frames": {frames}}}}}\'',
)
OTHER = Dialect(
    name="server",
    takes_fps=True,
    takes_prefix=False,
    logprobs_cure="let the server return log-probabilities of the 20 most probable tokens; a NIM "
    "does so on its vLLM profiles (list-model-profiles, NIM_MODEL_PROFILE)",
    frames_cure="let the server read {frames} frames of a video at {fps:g} a second (a NIM on "
    "vLLM takes vLLM's --media-io-kwargs in NIM_PASSTHROUGH_ARGS)",
)
_BY_OWNER = {"vllm": VLLM, "tensorrt_llm": TRTLLM}


def dialect_of(owned_by: str) -> Dialect:
    """Return the dialect of a server whose models, as /v1/models lists them, belong so."""
    return _BY_OWNER.get(owned_by, OTHER)
