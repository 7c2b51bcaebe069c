"""Each mistake in TensorRT-LLM's contract, made on purpose, is caught by the stand-in.

Numbers in names of sections are those of the contract's list, so that none is forgotten.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.fakes.tensorrt_llm import LLM, ContractBroken, SamplingParams
from tests.fakes.tensorrt_llm.executor.utils import RequestError
from tests.fakes.tensorrt_llm.inputs.utils import VideoData
from tests.fakes.tensorrt_llm.llm import new_process
from tests.fakes.tensorrt_llm.llmapi import GuidedDecodingParams, KvCacheConfig
from tests.fakes.tensorrt_llm.record import reported
from tests.fakes.tensorrt_llm.videos import Tensor
from tests.pipeline.engines.tensorrt.checkpoint import write_checkpoint, write_json

PROMPT = "<|vision_start|><|video_pad|><|vision_end|>Is there an anomaly?"
SCORING: dict[str, Any] = {
    "max_tokens": 1,
    "temperature": 0.0,
    "logprobs": 20,
    "detokenize": False,
}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in reports; a fresh process as far as it knows."""
    path = tmp_path / "report"
    monkeypatch.setenv("FAKE_TRTLLM_REPORT", str(path))
    monkeypatch.setenv("FAKE_TRTLLM_CONTROL", str(tmp_path / "control"))
    monkeypatch.setenv("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
    write_json(tmp_path / "control", {"load_seconds": 0.0, "submit_seconds": 0.0})
    new_process()
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "model")


class Loaded:
    """An LLM, and short ways to ask it."""

    def __init__(self, checkpoint: Path, **arguments: Any) -> None:
        cache = {"enable_block_reuse": False, "max_tokens": 32_768}
        wanted: dict[str, Any] = {
            "max_seq_len": 4096,
            "max_num_tokens": 2048,
            "max_batch_size": 4,
            "kv_cache_config": KvCacheConfig(**cache),  # type: ignore[arg-type]
            "cuda_graph_config": None,
        }
        self.llm = LLM(model=checkpoint, **(wanted | arguments))

    def ask(
        self,
        frames: Any = None,
        *,
        prompt: str = PROMPT,
        fps: Any = 4.0,
        sampling: dict[str, Any] | None = None,
        metadata: Any = None,
        **more: Any,
    ) -> Any:
        data = VideoData(frames=frames or pictures(), metadata=metadata or {"fps": 4.0})
        inputs = {
            "prompt": prompt,
            "multi_modal_data": {"video": [data]},
            "mm_processor_kwargs": {"fps": fps},
            **more,
        }
        return self.llm.generate_async(
            inputs=inputs, sampling_params=SamplingParams(**(sampling or SCORING))
        )

    async def answered(self, frames: Any = None, **keys: Any) -> Any:
        result = self.ask(frames, **keys)
        async with asyncio.timeout(5.0):
            await result.aresult()
        return result.outputs[0]


@pytest.fixture
def loaded(report: Path, checkpoint: Path) -> Iterator[Loaded]:
    made = Loaded(checkpoint)
    yield made
    made.llm.shutdown()


def pictures(count: int = 4, *, value: int = 128, side: int = 112, mode: str = "RGB") -> list[Any]:
    return [Image.new(mode, (side, side), value if mode == "L" else None) for _ in range(count)]


def grey(value: int, count: int = 4) -> list[Any]:
    return [Image.fromarray(np.full((112, 112, 3), value, np.uint8)) for _ in range(count)]


def broken(report: Path) -> list[str]:
    return [line["how"] for line in reported(report, "broken")]


# 1, 2: signatures, where and how often it is loaded


def test_1_unknown_arguments_are_refused(report: Path, checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="LLM got invalid argument: max_bach_size"):
        LLM(model=checkpoint, max_bach_size=4)
    with pytest.raises(ValueError, match="specific to TensorRT backend"):
        LLM(model=checkpoint, build_config=None)
    with pytest.raises(ValidationError):
        KvCacheConfig(block_reuse=False)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        KvCacheConfig(free_gpu_memory_fraction=1.5)
    with pytest.raises(TypeError):
        SamplingParams(max_new_tokens=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        SamplingParams(1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="Only one guide"):
        GuidedDecodingParams(regex="a", grammar="b")
    with pytest.raises(ValueError, match="only supports TRTLLM"):
        LLM(model=checkpoint, attn_backend="FLASHINFER")


@pytest.mark.parametrize(
    ("arguments", "how"),
    [
        ({"enable_chunked_prefill": True}, "chunked prefill"),
        ({"mm_encoder_only": True}, "mm_encoder_only"),
        ({"max_seq_len": None}, "max_seq_len"),
        ({"trust_remote_code": True}, "code from a checkpoint"),
    ],
)
def test_1_arguments_that_go_wrong_silently_are_broken_contract(
    report: Path, checkpoint: Path, arguments: dict[str, Any], how: str
) -> None:
    with pytest.raises(ContractBroken, match=how):
        Loaded(checkpoint, **arguments)
    assert len(broken(report)) == 1


async def test_1_generate_async_is_no_coroutine_function(loaded: Loaded) -> None:
    assert not asyncio.iscoroutinefunction(loaded.llm.generate_async)
    result = loaded.ask()
    assert (await result) is result
    with pytest.raises(TypeError):
        loaded.llm.generate_async({"prompt": PROMPT}, priority=1)  # type: ignore[call-arg]


def test_2_it_loads_once_a_process_and_never_in_the_parent(
    report: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = Loaded(checkpoint)
    with pytest.raises(ContractBroken, match="second LLM"):
        Loaded(checkpoint)
    loaded.llm.shutdown()
    new_process()
    monkeypatch.setenv("FAKE_TRTLLM_PARENT", str(os.getpid()))
    with pytest.raises(ContractBroken, match="parent"):
        Loaded(checkpoint)
    monkeypatch.delenv("FAKE_TRTLLM_PARENT")
    monkeypatch.delenv("TLLM_WORKER_USE_SINGLE_PROCESS")
    with pytest.raises(ContractBroken, match="MPI"):
        Loaded(checkpoint)


# 3, 4: loops and waiting


async def test_3_submitted_without_a_loop_it_cannot_be_awaited(loaded: Loaded) -> None:
    result = await asyncio.to_thread(loaded.ask)
    with pytest.raises(AssertionError, match="event loop was not present"):
        await result.aresult()
    await asyncio.to_thread(result.result)


async def test_3_another_loop_is_broken_contract(loaded: Loaded) -> None:
    result = loaded.ask()

    def elsewhere() -> None:
        asyncio.run(result.aresult())

    with pytest.raises(ContractBroken, match="another loop"):
        await asyncio.to_thread(elsewhere)
    await result
    with pytest.raises(ContractBroken, match="another loop"):
        await asyncio.to_thread(lambda: asyncio.run(loaded.answered()))


async def test_4_result_ignores_its_time_limit(loaded: Loaded, tmp_path: Path) -> None:
    write_json(tmp_path / "control", {"step_seconds": 0.3, "submit_seconds": 0.0})
    before = time.monotonic()
    result = await asyncio.to_thread(loaded.ask)
    await asyncio.to_thread(result.result, 0.01)
    assert time.monotonic() - before >= 0.3


# 5, 6, 7: the video


async def test_5_other_forms_of_a_video_fail_as_they_would(loaded: Loaded) -> None:
    def submit(video: Any) -> None:
        loaded.llm.generate_async(
            inputs={
                "prompt": PROMPT,
                "multi_modal_data": {"video": video},
                "mm_processor_kwargs": {"fps": 4.0},
            },
            sampling_params=SamplingParams(**SCORING),
        )

    with pytest.raises(TypeError, match="not iterable"):
        submit(VideoData(frames=pictures()))
    with pytest.raises(AttributeError, match="frames"):
        submit([pictures()])
    with pytest.raises(ValueError, match="frames list cannot be empty"):
        VideoData(frames=[])
    with pytest.raises(TypeError, match="metadata must be a dictionary"):
        VideoData(frames=pictures(), metadata=4.0)
    with pytest.raises(ContractBroken, match="2 videos"):
        submit([VideoData(frames=pictures())] * 2)


def tensors(value: float, dtype: Any = np.float32, device: str = "cpu") -> list[Tensor]:
    return [Tensor(np.full((3, 112, 112), value, dtype), device)] * 4


@pytest.mark.parametrize(
    ("frames", "how"),
    [
        (tensors(128, np.uint8), "255 times too bright"),
        (tensors(128.0), "255 times too bright"),
        (tensors(0.5 / 255), "nearly black"),
        (tensors(0.5, device="cuda"), "on the GPU"),
        ([np.zeros((112, 112, 3), np.uint8)] * 4, "hashing is switched off"),
        (pictures(side=110), "resized once more"),
        ([Image.new("RGB", (112, 112), (11, 22, 233))] * 4, "BGR"),
        ([b"jpeg"] * 4, "frames of bytes"),
    ],
)
async def test_6_frames_that_blind_the_model_are_broken_contract(
    loaded: Loaded, report: Path, frames: Any, how: str
) -> None:
    with pytest.raises(ContractBroken, match=how):
        loaded.ask(frames)
    assert len(broken(report)) == 1


async def test_6_right_frames_are_seen_alike_in_both_forms(loaded: Loaded, report: Path) -> None:
    as_images = await loaded.answered(grey(128))
    as_tensors = await loaded.answered(tensors(128 / 255))
    first, second = as_images.logprobs[0], as_tensors.logprobs[0]
    assert first.keys() == second.keys()
    assert first[9454].logprob == pytest.approx(second[9454].logprob, abs=1e-5)
    rgb = [Image.new("RGB", (112, 112), (233, 22, 11))] * 4
    await loaded.answered(rgb)
    assert broken(report) == []


@pytest.mark.parametrize(
    "frames",
    [pictures(mode="L"), pictures(mode="RGBA"), [*pictures(3), *pictures(1, side=140)]],
)
async def test_6_images_of_other_kinds_or_sizes_fail_as_they_would(
    loaded: Loaded, frames: Any
) -> None:
    with pytest.raises(ValueError, match=r"channel dimension|same shape"):
        loaded.ask(frames)


async def test_7_odd_frames_end_hashing_or_fail(report: Path, checkpoint: Path) -> None:
    first = Loaded(checkpoint)
    await first.answered(pictures(3))
    assert first.llm.input_processor.multimodal_hashing_supported is False
    assert "hashing is off" in broken(report)[0]
    first.llm.shutdown()
    new_process()
    second = Loaded(checkpoint)
    await second.answered(pictures(4))
    with pytest.raises(AssertionError, match="does not match sum of all lengths"):
        second.ask(pictures(3))
    second.llm.shutdown()


# 8, 9, 10: prompt, time, length


async def test_8_two_placeholders_fail_and_none_kills_the_engine(
    loaded: Loaded, report: Path
) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        loaded.ask(prompt=PROMPT + PROMPT)
    await loaded.answered()
    with pytest.raises(RequestError, match="token count mismatch"):
        await loaded.answered(prompt="Is there an anomaly?")
    zombie = loaded.ask()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await zombie
    zombie.abort()
    assert not loaded.llm.is_shutdown()


@pytest.mark.parametrize(
    ("fps", "error"),
    [
        ([4.0, 4.0], ValueError),
        (0, ZeroDivisionError),
        ("4", TypeError),
        (2.0, ContractBroken),
    ],
)
async def test_9_wrong_fps_is_caught(loaded: Loaded, fps: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        loaded.ask(fps=fps)


@pytest.mark.parametrize("arguments", [None, {}, {"fps": 4.0, "max_pixels": 1000}])
async def test_9_processor_arguments_are_fps_and_nothing_else(
    loaded: Loaded, arguments: Any
) -> None:
    with pytest.raises(ContractBroken):
        loaded.ask(mm_processor_kwargs=arguments)


async def test_10_prompt_that_is_too_long_is_refused(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match=r"should not exceed max_num_tokens \(2048\)"):
        loaded.ask(prompt=PROMPT + "a! " * 1500)
    with pytest.raises(ContractBroken, match="token ids beside a video"):
        loaded.ask(prompt_token_ids=[1, 2])


async def test_10_blocks_that_are_not_given_back_are_found(report: Path, checkpoint: Path) -> None:
    loaded = Loaded(checkpoint)
    loaded.ask(prompt=PROMPT + "[[slow]]")
    async with asyncio.timeout(5.0):
        while not reported(report, "step"):  # noqa: ASYNC110 - it is another thread's
            await asyncio.sleep(0.01)
    loaded.llm.shutdown()
    assert "KV blocks were never given back" in broken(report)[0]


# 11, 12: batches and answers


async def test_11_batches_are_bounded_and_too_many_in_flight_are_found(
    report: Path, checkpoint: Path, tmp_path: Path
) -> None:
    write_json(
        tmp_path / "control", {"in_flight_limit": 6, "submit_seconds": 0.0, "step_seconds": 0.2}
    )
    loaded = Loaded(checkpoint, max_batch_size=2, max_num_tokens=300)
    results = [loaded.ask(grey(value)) for value in (0, 50, 100, 150, 200, 250)]
    with pytest.raises(ContractBroken, match="more than 6 requests"):
        loaded.ask()
    await asyncio.gather(*results)
    steps = reported(report, "step")
    assert max(step["requests"] for step in steps) == 2
    assert max(step["tokens"] for step in steps) <= 300
    best = [next(iter(result.outputs[0].logprobs[0])) for result in results]
    assert best == [2753] * 3 + [9454] * 3
    loaded.llm.shutdown()


@pytest.mark.parametrize(
    ("mark", "best"), [("neither", 2082), ("think", 13708), ("only_yes", 9454), ("only_no", 2753)]
)
async def test_12_logprobs_are_a_list_of_one_dictionary(
    loaded: Loaded, mark: str, best: int
) -> None:
    output = await loaded.answered(prompt=f"{PROMPT}[[{mark}]]")
    (logprobs,) = output.logprobs
    assert (len(logprobs), next(iter(logprobs)), output.token_ids) == (20, best, [best])
    assert sum(np.exp(one.logprob) for one in logprobs.values()) <= 1.001
    assert (output.finish_reason, output.text) == ("length", "")


async def test_12_no_logprobs_unless_asked_for(loaded: Loaded) -> None:
    output = await loaded.answered(sampling={**SCORING, "logprobs": None})
    assert output.logprobs == []


async def test_12_mixed_shapes_fail_the_batch(loaded: Loaded, tmp_path: Path) -> None:
    write_json(tmp_path / "control", {"step_seconds": 0.1, "submit_seconds": 0.0})
    results = [loaded.ask(), loaded.ask(sampling={**SCORING, "logprobs": None})]
    for result in results:
        with pytest.raises(RequestError, match="NoneType"):
            await result


@pytest.mark.parametrize(
    "sampling",
    [
        {**SCORING, "temperature": 0.7},
        {**SCORING, "embedding_bias": [1.0]},
        {**SCORING, "prompt_logprobs": 5},
    ],
)
async def test_12_sampling_that_moves_scores_is_broken_contract(
    loaded: Loaded, sampling: dict[str, Any]
) -> None:
    with pytest.raises(ContractBroken):
        loaded.ask(sampling=sampling)


# 13, 14: aborts and faults


async def test_13_abort_ends_a_request_and_may_be_called_again(
    loaded: Loaded, report: Path
) -> None:
    result = loaded.ask(prompt=PROMPT + "[[slow]]")
    result.abort()
    result.abort()
    await result
    assert (result.outputs[0].finish_reason, result.outputs[0].logprobs) == ("cancelled", [])
    assert result.aborted()
    result.abort()
    assert len(reported(report, "aborted")) == 1


async def test_13_task_that_is_cancelled_without_an_abort_is_found(
    loaded: Loaded, report: Path, tmp_path: Path
) -> None:
    write_json(tmp_path / "control", {"step_seconds": 0.1, "submit_seconds": 0.0})
    result = loaded.ask()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await result.aresult()
    await result
    assert "went on after its task was cancelled" in broken(report)[0]


async def test_14_out_of_memory_leaves_a_zombie(loaded: Loaded) -> None:
    with pytest.raises(RequestError, match="CUDA out of memory"):
        await loaded.answered(prompt=PROMPT + "[[oom]]")
    result = loaded.ask()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await result
    result.abort()


async def test_14_one_request_may_fail_alone(loaded: Loaded) -> None:
    with pytest.raises(RequestError, match="hiccupped"):
        await loaded.answered(prompt=PROMPT + "[[request_error]]")
    with pytest.raises(RequestError, match="cannot enqueue"):
        loaded.ask(prompt=PROMPT + "[[refused]]")
    assert (await loaded.answered()).finish_reason == "length"


async def test_14_after_the_shutdown_nothing_is_taken(loaded: Loaded) -> None:
    loaded.llm.shutdown()
    loaded.llm.shutdown()
    with pytest.raises(RuntimeError, match="LLM is shutting down"):
        loaded.ask()


@pytest.mark.parametrize("load", ["oom", "missing_kernel"])
def test_14_load_may_fail(report: Path, checkpoint: Path, tmp_path: Path, load: str) -> None:
    write_json(tmp_path / "control", {"load": load})
    with pytest.raises((RuntimeError, ValueError), match=r"out of memory|unsupported quant mode"):
        Loaded(checkpoint)


# 15, 16, 17


async def test_15_submitting_blocks_the_loop(loaded: Loaded, tmp_path: Path) -> None:
    write_json(tmp_path / "control", {"submit_seconds": 0.05})
    before = time.monotonic()
    result = loaded.ask()
    assert time.monotonic() - before >= 0.05
    await result


async def test_16_reused_blocks_answer_for_the_clip_before(report: Path, checkpoint: Path) -> None:
    loaded = Loaded(checkpoint, kv_cache_config=KvCacheConfig(max_tokens=32_768))
    await loaded.answered(grey(0, 3))  # odd: hashing is off from here on
    dark = await loaded.answered(grey(0))
    bright = await loaded.answered(grey(255))
    assert bright.logprobs == dark.logprobs
    loaded.llm.shutdown()


def test_17_it_cannot_be_pickled(loaded: Loaded) -> None:
    with pytest.raises(RuntimeError, match="can not be pickled"):
        pickle.dumps(loaded.llm)
