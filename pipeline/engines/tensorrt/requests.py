"""Requests to TensorRT-LLM: handed in, awaited and aborted on one loop, so many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.tensorrt.faults import (
    Concern,
    concern_of_result,
    concern_of_submit,
)
from edgewatch.pipeline.engines.tensorrt.plan import LOGPROBS


class RequestFailed(Exception):
    """A request has no answer; `concern` says whose fault it may be, `late` that none came."""

    def __init__(self, concern: Concern, reason: str, *, late: bool = False) -> None:
        super().__init__(reason)
        self.concern = concern
        self.late = late


@dataclass(frozen=True, slots=True)
class Library:
    """The parts of tensorrt_llm that requests need, imported once."""

    llm: Any
    sampling_params: Any
    """The class."""
    video_data: Any
    """The class."""
    image: Any
    """PIL.Image."""


class Requests:
    """The one place that calls `generate_async`.

    It blocks the loop for the time of preprocessing, some 30 to 60 ms a clip; between two of them
    the loop has its turn.
    """

    def __init__(self, library: Library, *, in_flight: int, words_tokens: int) -> None:
        self._library = library
        self._room = asyncio.Semaphore(in_flight)
        # One shape for all that is scored: the sampler takes the largest `logprobs` of a batch,
        # and fails all of it over a None. Words ask for them too, for the same reason.
        self._scoring = library.sampling_params(
            max_tokens=1, temperature=0.0, logprobs=LOGPROBS, detokenize=False
        )
        self._speaking = library.sampling_params(
            max_tokens=max(1, words_tokens), temperature=0.0, logprobs=LOGPROBS, detokenize=True
        )

    async def first_token(
        self, prompt: str, frames: npt.NDArray[np.uint8], fps: float, limit_seconds: float
    ) -> dict[int, float]:
        """Return the natural logarithms of the most probable first tokens' probabilities.

        Raises RequestFailed.
        """
        inputs = self._video(prompt, frames, fps)
        output = await self._output(inputs, self._scoring, limit_seconds)
        if not output.logprobs:
            raise RequestFailed(Concern.SUSPECT, "an answer came without log-probabilities")
        return _plain(output.logprobs[0])

    async def text(
        self, prompt: str, frames: npt.NDArray[np.uint8], fps: float, limit_seconds: float
    ) -> str:
        """Return words. Raises RequestFailed."""
        inputs = self._video(prompt, frames, fps)
        return str((await self._output(inputs, self._speaking, limit_seconds)).text)

    async def text_about_picture(
        self, prompt: str, picture: npt.NDArray[np.uint8], limit_seconds: float
    ) -> str:
        """Return words about one picture (height, width, 3). Raises RequestFailed."""
        image = self._library.image.fromarray(picture)
        inputs = {"prompt": prompt, "multi_modal_data": {"image": [image]}}
        return str((await self._output(inputs, self._speaking, limit_seconds)).text)

    async def _output(self, inputs: Mapping[str, Any], sampling: Any, limit_seconds: float) -> Any:
        """Return a request's output; the request is over when this returns, however it does."""
        async with self._room:
            await asyncio.sleep(0)
            result = self._submit(inputs, sampling)
            try:
                async with asyncio.timeout(limit_seconds):
                    await result.aresult()
            except TimeoutError:
                result.abort()
                reason = f"no answer within {limit_seconds:.1f} s"
                raise RequestFailed(Concern.SUSPECT, reason, late=True) from None
            except asyncio.CancelledError:
                # Cancelling the task leaves the request running.
                result.abort()
                raise
            except Exception as error:
                raise RequestFailed(concern_of_result(error), _text(error)) from error
        output = result.outputs[0]
        if output.finish_reason not in ("length", "stop"):
            raise RequestFailed(Concern.SUSPECT, f"a request ended as {output.finish_reason!r}")
        return output

    def _submit(self, inputs: Mapping[str, Any], sampling: Any) -> Any:
        try:
            return self._library.llm.generate_async(inputs=dict(inputs), sampling_params=sampling)
        except Exception as error:
            raise RequestFailed(concern_of_submit(error), _text(error)) from error

    def _video(self, prompt: str, frames: npt.NDArray[np.uint8], fps: float) -> Mapping[str, Any]:
        count = len(frames)
        video = self._library.video_data(
            # PIL, RGB, one size: other forms are taken too, and make a model see nothing.
            frames=[self._library.image.fromarray(frame) for frame in frames],
            metadata={
                "total_num_frames": count,
                "fps": fps,
                "duration": count / fps,
                "frames_indices": list(range(count)),
            },
        )
        return {
            "prompt": prompt,
            "multi_modal_data": {"video": [video]},
            # The only source of time that the model's processor reads.
            "mm_processor_kwargs": {"fps": fps},
        }


def _plain(logprobs: Mapping[int, Any]) -> dict[int, float]:
    return {int(token): float(one.logprob) for token, one in logprobs.items()}


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
