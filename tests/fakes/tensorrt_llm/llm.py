"""`LLM`: what is checked when it is made, and when a request is handed in."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from tests.fakes.tensorrt_llm.parameters import KvCacheConfig, SamplingParams
from tests.fakes.tensorrt_llm.pictures import processed_picture
from tests.fakes.tensorrt_llm.record import RequestError, broken, control, report
from tests.fakes.tensorrt_llm.results import RequestOutput
from tests.fakes.tensorrt_llm.tokens import IMAGE_PAD, VIDEO_PAD, Tokenizer
from tests.fakes.tensorrt_llm.videos import Seen, processed
from tests.fakes.tensorrt_llm.worker import OUT_OF_MEMORY, Request, Worker

_ARGUMENTS: dict[str, Any] = {
    "max_batch_size": 2048,
    "max_num_tokens": 8192,
    "max_seq_len": None,
    "max_input_len": 1024,
    "kv_cache_config": None,
    "enable_chunked_prefill": False,
    "cuda_graph_config": "on",
    "attn_backend": "TRTLLM",
    "disable_overlap_scheduler": False,
    "sampler_type": "auto",
    "guided_decoding_backend": None,
    "batch_wait_timeout_ms": 0,
    "batch_wait_timeout_iters": 0,
    "enable_iter_perf_stats": False,
    "enable_iter_req_stats": False,
    "return_perf_metrics": False,
    "load_format": "auto",
    "num_postprocess_workers": 0,
    "mm_encoder_only": False,
    "pipeline_parallel_size": 1,
    "orchestrator_type": None,
}
"""Of the PyTorch backend, beside those that are spelt out."""
_OF_TENSORRT = {"build_config", "fast_build", "enable_build_cache", "enable_prompt_adapter"}
_MARK = re.compile(r"\[\[(\w+)\]\]")

_made = 0
"""LLMs of this process."""


def new_process() -> None:
    """Forget that this process has made an LLM; for tests of the stand-in itself."""
    global _made
    _made = 0


report("imported")


class LLM:
    """As `tensorrt_llm.LLM`, PyTorch backend."""

    def __init__(
        self,
        model: str | Path,
        tokenizer: Any = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        global _made
        for key in kwargs:
            if key in _OF_TENSORRT:
                raise ValueError(
                    f"{key} is specific to TensorRT backend and cannot be used with PyTorch backend"
                )
            if key not in _ARGUMENTS:
                raise ValueError(f"LLM got invalid argument: {key}")
        arguments = _ARGUMENTS | kwargs
        _check(arguments, trust_remote_code=trust_remote_code)
        if os.environ.get("FAKE_TRTLLM_PARENT") == str(os.getpid()):
            raise broken("loaded in the parent: a CUDA fault would take it along")
        if _made:
            raise broken("a second LLM in one process")
        _made += 1
        if not (Path(model) / "config.json").is_file():
            raise OSError(f"{model} does not appear to have a file named config.json.")
        self._load()
        kv = arguments["kv_cache_config"] or KvCacheConfig()
        self._max_num_tokens: int = arguments["max_num_tokens"]
        self._block = kv.tokens_per_block
        self._worker = Worker(
            max_batch_size=arguments["max_batch_size"],
            max_num_tokens=self._max_num_tokens,
            kv_blocks=(kv.max_tokens or 1_000_000) // self._block,
            block_reuse=kv.enable_block_reuse,
        )
        self.tokenizer = Tokenizer()
        self.input_processor = SimpleNamespace(multimodal_hashing_supported=None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requests = 0
        self._shut = False
        report("loaded", arguments=sorted(kwargs), gpus=os.environ.get("CUDA_VISIBLE_DEVICES"))

    def __reduce__(self) -> NoReturn:
        raise RuntimeError("LLM object can not be pickled.")

    def generate_async(
        self,
        inputs: Any,
        sampling_params: SamplingParams | None = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        if self._shut:
            raise RuntimeError("LLM is shutting down")
        rules = control()
        self._worker.control = rules
        self._same_loop()
        time.sleep(rules.submit_seconds)  # preprocessing, on whose loop it may be
        sampling = sampling_params or SamplingParams()
        sampling.check()
        self._requests += 1
        prompt, seen = self._inputs(inputs)
        pads = prompt.count(VIDEO_PAD) + prompt.count(IMAGE_PAD)
        if seen and seen.pad not in prompt and pads:
            raise broken(f"{seen.pad} is wanted, and the prompt has another placeholder")
        if seen and pads > 1:
            raise IndexError("index 1 is out of bounds for dimension 0 with size 1")
        if seen:
            self._hash(seen, pads)
        tokens = len(self.tokenizer.encode(prompt, add_special_tokens=False)) - pads
        tokens += seen.tokens if seen else 0
        if tokens > self._max_num_tokens:
            raise ValueError(
                f"The sum of prompt length ({tokens}), query length (0) should not exceed "
                f"max_num_tokens ({self._max_num_tokens})"
            )
        mark = _mark(prompt, rules.faults, self._requests)
        report("request", number=self._requests, mark=mark, max_tokens=sampling.max_tokens)
        if mark == "refused":
            raise RequestError("the executor cannot enqueue the request")
        if mark == "shutting_down":
            self._shut = True
            raise RuntimeError("LLM is shutting down")
        if self._worker.in_flight >= rules.in_flight_limit:
            raise broken(f"more than {rules.in_flight_limit} requests in flight")
        result = RequestOutput(self._requests, self._worker.abort)
        blocks = -(-(tokens + sampling.max_tokens) // self._block)
        self._worker.submit(
            Request(
                self._requests, result, sampling, tokens, pads, seen, mark, blocks, prompt=prompt
            )
        )
        return result

    def shutdown(self) -> None:
        if self._shut:
            return
        self._shut = True
        if control().shutdown == "hang":
            time.sleep(3600)
        lost = self._worker.close()
        if lost:
            broken(f"{lost} KV blocks were never given back")
        report("shutdown")

    def is_shutdown(self) -> bool:
        return self._shut

    def _same_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._loop is not None and loop is not self._loop:
            raise broken("submitted on another loop than before")
        self._loop = loop

    def _inputs(self, inputs: Any) -> tuple[str, Seen | None]:
        if isinstance(inputs, str):
            return inputs, None
        if not isinstance(inputs, Mapping):
            raise TypeError(f"inputs of {type(inputs).__name__}")
        if "prompt_token_ids" in inputs and "multi_modal_data" in inputs:
            raise broken("token ids beside a video are decoded and tokenised once more")
        data = inputs.get("multi_modal_data")
        if not data:
            return str(inputs["prompt"]), None
        prompt, told = str(inputs["prompt"]), inputs.get("mm_processor_kwargs")
        if set(data) == {"image"}:
            return prompt, processed_picture(data["image"], told)
        if set(data) != {"video"}:
            raise broken(f"multi_modal_data {sorted(data)}: a video or an image is read")
        return prompt, processed(data["video"], told)

    def _hash(self, seen: Seen, pads: int) -> None:
        """Do as the library's wrapper: the first failure ends hashing, a later one raises."""
        state = self.input_processor
        right = (seen.frames % 2 == 0 or seen.pad == IMAGE_PAD) and pads == 1
        if state.multimodal_hashing_supported is None:
            state.multimodal_hashing_supported = self._worker.hashing = right
            if not right:
                broken("hashing is off for the whole process: odd frames, or no placeholder")
        elif state.multimodal_hashing_supported and not right and pads:
            raise AssertionError("Number of multimodal tokens does not match sum of all lengths")

    @staticmethod
    def _load() -> None:
        rules = control()
        time.sleep(rules.load_seconds)
        match rules.load:
            case "hang":
                time.sleep(3600)
            case "oom":
                raise RuntimeError(OUT_OF_MEMORY)
            case "missing_kernel":
                raise ValueError("unsupported quant mode: 16")


def _check(arguments: Mapping[str, Any], *, trust_remote_code: bool) -> None:
    if arguments["attn_backend"] != "TRTLLM":
        raise ValueError("Qwen2/2.5-VL only supports TRTLLM backend now")
    if arguments["enable_chunked_prefill"]:
        raise broken("Qwen2.5-VL does not support chunked prefill")
    if arguments["mm_encoder_only"] or arguments["num_postprocess_workers"]:
        raise broken("mm_encoder_only or postprocess workers")
    if arguments["max_seq_len"] is None:
        raise broken("max_seq_len is inferred as 128,000: memory for it is taken")
    if trust_remote_code:
        raise broken("code from a checkpoint is not to be run")
    if os.environ.get("TLLM_WORKER_USE_SINGLE_PROCESS") != "1":
        raise broken("TLLM_WORKER_USE_SINGLE_PROCESS is not set: MPI spawns a worker")


def _mark(prompt: str, faults: tuple[dict[str, Any], ...], number: int) -> str:
    for fault in faults:
        if fault["request"] == number:
            return str(fault["do"])
    found = _MARK.search(prompt)
    return found[1] if found else ""
