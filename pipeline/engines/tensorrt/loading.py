"""Loading TensorRT-LLM: the library, its `LLM`, and what its errors mean."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from edgewatch.pipeline.engines.memory_plan import memory_of, plan
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.tensorrt.plan import KV_FRACTION, Plan
from edgewatch.pipeline.engines.tensorrt.requests import Library
from edgewatch.pipeline.errors import EngineFailed

log = structlog.get_logger(__name__)

WANTED = "1.2"
_CONTAINER = "run edgewatch in NVIDIA's TensorRT-LLM container, release 1.2.1 (docs/engines.md)"

_CURES = (
    (
        "out of memory",
        "lower [engine] max_batch, end other programs that hold memory, and on a Spark free the "
        "page cache (docs/engines.md)",
    ),
    ("flash_attn", f"flash-attn is missing: {_CONTAINER}"),
    ("quant", "take a checkpoint in NVFP4, FP8 or bf16 that this GPU computes (docs/engines.md)"),
    ("invalid argument", f"another version of TensorRT-LLM than {WANTED}: {_CONTAINER}"),
    ("Only supports", f"another version of TensorRT-LLM than {WANTED}: {_CONTAINER}"),
    ("no NVIDIA GPU", "see docs/engines.md"),
    ("NVIDIA driver", "see docs/engines.md"),
    ("GPUs are available", "set [engine] gpus and tensor_parallel to what the machine has"),
    ("does not recognize this architecture", "set [engine] model to a Qwen2.5-VL checkpoint"),
)


def load(setup: EngineSetup, model: Path, room: Plan) -> Library:
    """Import the library and load a model; blocks for minutes. Raises EngineFailed."""
    try:
        import tensorrt_llm
        from PIL import Image
        from tensorrt_llm.inputs.utils import VideoData
        from tensorrt_llm.llmapi import KvCacheConfig
    except ImportError as error:
        raise EngineFailed(f"TensorRT-LLM cannot be imported ({error})", _CONTAINER) from error
    version = str(tensorrt_llm.__version__)
    if version.split(".")[:2] != WANTED.split("."):
        raise EngineFailed(f"this is TensorRT-LLM {version}, not {WANTED}", _CONTAINER)
    _check_memory(setup, model)
    try:
        llm = tensorrt_llm.LLM(
            model=str(model),
            tensor_parallel_size=setup.tensor_parallel,
            max_batch_size=room.max_batch_size,
            max_num_tokens=room.max_num_tokens,
            max_seq_len=room.max_seq_len,
            # Blocks of one clip must never serve another: videos are told apart by hashes that
            # the library gives up silently.
            kv_cache_config=KvCacheConfig(
                enable_block_reuse=False,
                max_tokens=room.kv_tokens,
                free_gpu_memory_fraction=KV_FRACTION,
            ),
            # Graphs serve steps that only decode; a score has none.
            cuda_graph_config=None,
        )
    except Exception as error:
        raise _explained(error) from error
    return Library(llm, tensorrt_llm.SamplingParams, VideoData, Image)


def _check_memory(setup: EngineSetup, model: Path) -> None:
    """Refuse what does not fit, before it is loaded. Raises EngineFailed.

    TensorRT-LLM has imported torch by now; where there is no GPU, it says so itself.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    free_bytes, _ = torch.cuda.mem_get_info()
    unified = bool(getattr(torch.cuda.get_device_properties(0), "is_integrated", False))
    meminfo = Path("/proc/meminfo").read_text("ascii")
    memory = memory_of(meminfo, gpu_free_bytes=free_bytes, unified=unified)
    planned = plan(
        model,
        setup.largest_clip,
        setup.max_batch,
        # Each of several GPUs holds its share of the weights.
        free_bytes=memory.free_bytes * setup.tensor_parallel,
        cache_bytes=memory.cache_bytes,
        unified=unified,
    )
    log.info("memory planned", plan=planned.sentence)
    planned.require()


def _explained(error: Exception) -> EngineFailed:
    text = f"{type(error).__name__}: {error}"
    chained = error.__cause__
    if chained is not None:
        text += f" ({type(chained).__name__}: {chained})"
    cure = next((cure for sign, cure in _CURES if sign.lower() in text.lower()), "")
    return EngineFailed(f"TensorRT-LLM did not load the model ({text[:600]})", cure)
