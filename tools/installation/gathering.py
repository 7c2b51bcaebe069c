"""Facts gathered: packages, drivers, libraries tried in processes of their own, memory, a model."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from edgewatch.config.settings import Settings
from edgewatch.tools.installation.facts import Facts, Gpu, Import, Memory, Model, Mpi
from edgewatch.tools.installation.versions import core_requirements

ANSWER_SECONDS = 20.0
"""Longest wait for nvidia-smi and its like."""
IMPORT_SECONDS = 120.0
"""Longest wait for a library: a first import on a slow disk takes most of a minute."""
AT_ONCE = 2
_PROBE = "edgewatch.tools.installation.library_probe"
_ALWAYS = ("av", "cv2")
_OF_KIND = {
    "native": ("torch", "safetensors", "tokenizers"),
    "transformers": ("torch", "transformers"),
    "tensorrt": ("torch", "tensorrt_llm", "flash_attn"),
}


def gather(settings: Settings) -> Facts:
    """Look at everything a rule may ask for. Takes seconds: libraries are imported."""
    engine = settings.engine
    packages = installed()
    modules = [*_ALWAYS, *_OF_KIND.get(engine.kind, ())]
    if "torch" in packages and "torch" not in modules:
        modules.append("torch")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        imports = dict(zip(modules, pool.map(tried, modules), strict=True))
    driver, gpus = nvidia()
    return Facts(
        kind=engine.kind,
        quantize=engine.quantize,
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        system=f"{platform.system()} {platform.machine()}",
        in_container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        packages=packages,
        wanted=tuple(core_requirements(_demands())),
        imports=imports,
        driver=driver,
        gpus=gpus,
        mpi=mpi() if engine.kind == "tensorrt" else Mpi(),
        memory=memory(),
        model=model(engine.model) if engine.model else None,
    )


def installed() -> dict[str, str]:
    """Return every installed distribution's version, by its name in lower case with dashes."""
    names: dict[str, str] = {}
    for one in metadata.distributions():
        name = one.metadata["Name"]
        if name:  # a folder half removed by pip has none
            names.setdefault(name.lower().replace("_", "-"), one.version)
    return names


def tried(module: str, *, limit_seconds: float = IMPORT_SECONDS) -> Import:
    """Import a library in a process of its own, and return how it went."""
    command = [sys.executable, "-m", _PROBE, module]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Import(worked=False, error=f"took longer than {limit_seconds:g} s", hung=True)
    try:
        said = json.loads(done.stdout.splitlines()[-1])
        return Import(said["worked"], said.get("error", ""), facts=said.get("facts", {}))
    except (IndexError, ValueError, KeyError, TypeError):
        return Import(worked=False, error=f"its process died (code {done.returncode})")


def nvidia() -> tuple[str | None, tuple[Gpu, ...]]:
    """Return the driver's version and the GPUs; None and none where no driver answers."""
    said = _said("nvidia-smi", "--query-gpu=driver_version,name,compute_cap,memory.total",
                 "--format=csv,noheader,nounits")  # fmt: skip
    rows = [[cell.strip() for cell in line.split(",")] for line in said.splitlines()]
    rows = [row for row in rows if len(row) == 4 and re.match(r"\d+\.", row[0])]
    gpus = tuple(
        Gpu(
            name=name,
            capability=_pair(capability),
            memory_bytes=int(mib) * 2**20 if mib.isdecimal() else None,
        )
        for _, name, capability, mib in rows
    )
    return (rows[0][0] if rows else None), gpus


def mpi() -> Mpi:
    """Return which OpenMPI there is and whose PMIx it uses."""
    info = _said("ompi_info", "--parsable", "--all")
    version = re.search(r"^ompi:version:full:(\S+)", info, re.MULTILINE)
    external = re.search(r"^mca:pmix:ext\d", info, re.MULTILINE) is not None
    pmix = re.search(r"(\d+\.\d+(?:\.\d+)?)", _said("pmix_info", "--version"))
    return Mpi(
        version=version.group(1) if version else None,
        external_pmix=external,
        pmix_version=pmix.group(1) if pmix else None,
    )


def memory() -> Memory:
    """Return the machine's memory, and the size of /dev/shm."""
    lines = dict(_meminfo(Path("/proc/meminfo")))
    shm = Path("/dev/shm")
    return Memory(
        total_bytes=lines.get("MemTotal", 0),
        free_bytes=lines.get("MemFree", 0),
        cached_bytes=lines.get("Cached", 0),
        shm_bytes=shutil.disk_usage(shm).total if shm.is_dir() else None,
    )


def model(path: Path) -> Model:
    """Return what a checkpoint's folder says of itself; nothing in it is loaded."""
    config, quantised = _json(path / "config.json"), _json(path / "hf_quant_config.json")
    if not config:
        return Model(str(path), exists=(path / "config.json").is_file())
    scaling = config.get("rope_scaling")
    table = quantised.get("quantization") or config.get("quantization_config")
    table = table if isinstance(table, dict) else {}
    algorithm = table.get("quant_algo") or table.get("quant_method") or ""
    rope = scaling.get("type") or scaling.get("rope_type") if isinstance(scaling, dict) else ""
    return Model(str(path), rope_type=str(rope or ""), quantisation=str(algorithm))


def _demands() -> list[str]:
    try:
        return metadata.requires("edgewatch") or []
    except metadata.PackageNotFoundError:  # run from its sources, without being installed
        return []


def _said(*command: str) -> str:
    """Return what a program prints; empty if it is not there, fails or does not end."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _pair(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)$", text)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _meminfo(file: Path) -> Iterator[tuple[str, int]]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, rest = line.partition(":")
        amount = rest.split()
        if amount and amount[0].isdecimal():
            yield name, int(amount[0]) * 1024


def _json(file: Path) -> dict[str, object]:
    try:
        table = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
