"""Rules of TensorRT-LLM, on a Spark and elsewhere, with the set-up fixes that people needed. Pure.

Sources: TensorRT-LLM's release notes and requirements of 1.2; the five set-up fixes of the
playbook for Cosmos-Reason1 in NVFP4 (OpenMPI's PMIx, flash-attn, rope type "default", login for
gated models, a video as a list of frames).
"""

from __future__ import annotations

from collections.abc import Iterator

from edgewatch.tools.findings import Finding, fail, ok, warn
from edgewatch.tools.installation.facts import Facts
from edgewatch.tools.installation.versions import numbers

CONTAINER = "take NVIDIA's container, tensorrt-llm/release:1.2.1 (docs/engines.md, DGX Spark)"
SPARK = (12, 1)
LEAST_SHM_BYTES = 256_000_000
LITTLE_FREE_BYTES = 24_000_000_000
"""Weights, keys and values, and what loading needs, of a 7B model in NVFP4."""
PINS = {"transformers": (4, 57, 3), "torch": (2, 9), "tensorrt": (10, 13)}
"""What TensorRT-LLM 1.2.1 was built and tried with."""


def tensorrt_findings(facts: Facts) -> Iterator[Finding]:
    """Look at what `tensorrt` needs; nothing where that engine is not meant to run."""
    yield from _model(facts)
    if facts.kind != "tensorrt":
        return
    version = facts.version("tensorrt-llm")
    if version is None:
        yield fail("TensorRT-LLM", "", "is not installed", f"Do not use pip: {CONTAINER}.")
    else:
        yield from _library(facts, version)
    yield from _mpi(facts)
    yield from _flash_attention(facts)
    yield from _device(facts)
    yield from _memory(facts)


def _library(facts: Facts, version: str) -> Iterator[Finding]:
    tried = facts.imports.get("tensorrt_llm")
    if numbers(version)[:2] < (1, 2):
        yield fail(
            "TensorRT-LLM",
            version,
            'is older than 1.2: it refuses rope type "default" ("Unsupported position embedding '
            'type: default") and takes a video as a list of frames instead of VideoData',
            f"Do not patch it: {CONTAINER}.",
        )
        return
    if numbers(version)[:2] > (1, 2):
        yield warn(
            "TensorRT-LLM",
            version,
            "edgewatch was written against 1.2",
            f"If it fails, {CONTAINER}.",
        )
    if tried and tried.hung:
        yield fail(
            "TensorRT-LLM",
            version,
            "its import hangs, as it does where OpenMPI waits for a PMIx of another version",
            f"{_sentence(CONTAINER)}. On bare metal build OpenMPI 4.1.6 with "
            "--with-pmix=internal, or set OMPI_MCA_ess_singleton_isolated=1.",
        )
        return
    if tried and not tried.worked:
        stub = "No module named 'tensorrt_llm'" in tried.error
        detail = "is a stub without the library" if stub else f"cannot be imported: {tried.error}"
        yield fail("TensorRT-LLM", version, detail, f"Do not use pip: {CONTAINER}.")
        return
    wrong = list(_strangers(facts))
    yield from wrong
    if not wrong and numbers(version)[:2] == (1, 2):
        yield ok("TensorRT-LLM", version, "with the versions it was built with")


def _strangers(facts: Facts) -> Iterator[Finding]:
    """Name packages that were replaced in TensorRT-LLM's environment."""
    numpy = facts.version("numpy")
    if numpy and numbers(numpy) >= (2,):
        yield fail(
            "numpy",
            numpy,
            "TensorRT-LLM 1.2 needs numpy below 2; another package has replaced it",
            "pip install 'numpy<2' 'opencv-python-headless<4.12', with the image's versions as "
            "constraints (docs/engines.md, DGX Spark)",
        )
    for package, pin in PINS.items():
        version = facts.version(package)
        if version and numbers(version)[: len(pin)] != pin:
            wanted = ".".join(map(str, pin))
            yield warn(
                package,
                version,
                f"TensorRT-LLM 1.2.1 goes with {package} {wanted}",
                f"pip install '{package}=={wanted}.*', or {CONTAINER}."
                if len(pin) < 3
                else f"pip install '{package}=={wanted}', or {CONTAINER}.",
            )


def _mpi(facts: Facts) -> Iterator[Finding]:
    mpi = facts.mpi
    if mpi.version is None or facts.in_container:
        return
    pmix = numbers(mpi.pmix_version or "")
    if numbers(mpi.version) < (5,) and mpi.external_pmix and pmix >= (5,):
        yield fail(
            "OpenMPI",
            mpi.version,
            f"uses the system's PMIx {mpi.pmix_version}, and MPI_Init hangs with it",
            f"{_sentence(CONTAINER)}, or build OpenMPI 4.1.6 with --with-pmix=internal.",
        )


def _flash_attention(facts: Facts) -> Iterator[Finding]:
    newest = max((one.capability or (0, 0) for one in facts.gpus), default=(0, 0))
    tried = facts.imports.get("flash_attn")
    if newest < (10, 0) or tried is None or tried.worked:
        return
    yield warn(
        "flash-attn",
        facts.version("flash-attn") or "",
        "cannot be imported, and some builds of TensorRT-LLM 1.2 see through it on Blackwell "
        f"({tried.error})",
        "pip install flash-attn --no-build-isolation; NVIDIA's container has it",
    )


def _device(facts: Facts) -> Iterator[Finding]:
    for gpu in facts.gpus:
        if gpu.capability is None:
            continue
        needs_fp4 = facts.model is not None and facts.model.quantisation == "NVFP4"
        if needs_fp4 and gpu.capability < (10, 0):
            yield fail(
                "GPU",
                gpu.name,
                "has no FP4 products (compute capability 10.0 or newer has), and the checkpoint "
                "is NVFP4",
                'take an FP8 or bf16 checkpoint, or kind = "transformers", which imitates NVFP4',
            )
        elif gpu.capability != SPARK:
            yield warn(
                "GPU",
                gpu.name,
                "is not the Spark's, for which this engine was made",
                "Run `edgewatch check` and look at its figures before you rely on it.",
            )


def _memory(facts: Facts) -> Iterator[Finding]:
    memory = facts.memory
    shared = any(one.capability == SPARK for one in facts.gpus)
    if shared and memory.free_bytes < LITTLE_FREE_BYTES < memory.free_bytes + memory.cached_bytes:
        yield warn(
            "memory",
            f"{memory.free_bytes / 1e9:.0f} GB free",
            f"{memory.cached_bytes / 1e9:.0f} GB are the page cache, which the GPU counts as taken",
            "sync; echo 3 > /proc/sys/vm/drop_caches (as root), after a large download or copy",
        )
    if memory.shm_bytes is not None and memory.shm_bytes < LEAST_SHM_BYTES:
        yield fail(
            "shared memory",
            f"/dev/shm has {memory.shm_bytes / 1e6:.0f} MB",
            "frames go to the engine's process through it",
            "docker run --ipc=host (or --shm-size=1g)",
        )


def _model(facts: Facts) -> Iterator[Finding]:
    model = facts.model
    if model is None:
        return
    if not model.exists:
        yield fail(
            "model",
            model.path,
            "is not there",
            "hf auth login (once, for gated models: accept the licence on the model's page), then "
            f"hf download NAME --local-dir {model.path}; edgewatch itself never goes online",
        )
    elif model.rope_type == "default" and facts.kind == "tensorrt":
        yield warn(
            "model",
            model.path,
            'config.json has rope_scaling type "default", which TensorRT-LLM 1.1 refuses and 1.2 '
            "replaces by itself",
            'set "type": "mrope" there; `edgewatch quantize` does so in what it writes',
        )
    else:
        yield ok("model", model.path, model.quantisation or "plain weights")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
