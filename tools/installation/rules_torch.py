"""Rules of PyTorch, its driver, and the engines `transformers` and `native`. Pure.

Sources: CUDA Toolkit release notes, table "CUDA Toolkit and Minimum Required NVIDIA Driver
Version for CUDA Minor Version Compatibility"; CUDA C++ Programming Guide, "Binary Compatibility"
(a cubin runs on its own major capability and equal or higher minor); torchvision's README, table
of versions (torch 2.N goes with torchvision 0.(N+15)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgewatch.pipeline.engines.native import checks as native
from edgewatch.pipeline.engines.transformers import libraries as library
from edgewatch.tools.findings import Finding, fail, ok, warn
from edgewatch.tools.installation.facts import Facts
from edgewatch.tools.installation.versions import dotted, numbers

_NEEDED = {
    "native": (native.VERSIONS, native.INSTALL),
    "transformers": (library.VERSIONS, library.INSTALL),
}
"""By kind of engine: packages with their versions, and how to install them."""
LEAST_DRIVER = {12: (525, 60, 13), 13: (580, 65, 6)}
"""CUDA's major version to the oldest driver for Linux."""
_GET_TORCH = "install torch's build for this GPU (pytorch.org, Get Started)"


def torch_findings(facts: Facts) -> Iterator[Finding]:
    """Look at what computes through torch needs; nothing where that engine is not meant to run."""
    yield from _driver(facts)
    if facts.kind not in (*_NEEDED, "tensorrt") and not facts.version("torch"):
        return
    yield from _torch(facts)
    yield from _torchvision(facts)
    if facts.kind in _NEEDED:
        yield from _libraries(facts)
    if facts.kind == "transformers":
        yield from _int8(facts)
    yield from _modelopt(facts)


def _driver(facts: Facts) -> Iterator[Finding]:
    if facts.driver:
        names = ", ".join(_gpu(one.name, one.capability) for one in facts.gpus) or "no GPU"
        yield ok("driver", facts.driver, names)
    elif facts.kind == "tensorrt":
        yield fail(
            "driver",
            "nvidia-smi",
            "no NVIDIA driver answers",
            "In a container: docker run --gpus all (and the NVIDIA Container Toolkit on the host). "
            "On the host: install NVIDIA's driver, then nvidia-smi must list the GPU.",
        )


def _torch(facts: Facts) -> Iterator[Finding]:
    version = facts.version("torch")
    tried = facts.imports.get("torch")
    if version is None:
        if facts.kind in _NEEDED:
            yield fail("torch", "", "is not installed", _NEEDED[facts.kind][1])
        return
    if tried is None or not tried.worked:
        if tried is not None:
            reason = "its import hangs" if tried.hung else f"cannot be imported: {tried.error}"
            yield fail("torch", version, reason, f"Make a new environment and {_GET_TORCH}.")
        return
    built = str(facts.fact("torch", "cuda") or "")
    least = LEAST_DRIVER.get(numbers(built)[0]) if numbers(built) else None
    if built and facts.driver and least and numbers(facts.driver) < least:
        yield fail(
            "torch",
            version,
            f"is built for CUDA {built}, which needs driver {dotted(least)} or newer; "
            f"{facts.driver} is installed",
            f"Update the driver, or {_GET_TORCH} for an older CUDA.",
        )
        return
    if facts.gpus and not built:
        yield warn(
            "torch",
            version,
            f"is built without CUDA, so {facts.gpus[0].name} stays idle",
            f"pip uninstall -y torch, then {_GET_TORCH}.",
        )
        return
    yield _on_gpu(facts, version, built)


def _on_gpu(facts: Facts, version: str, built: str) -> Finding:
    """Say whether this build has machine code for the GPUs that are here."""
    archs = facts.fact("torch", "archs")
    for gpu in facts.gpus:
        if gpu.capability and isinstance(archs, list) and not _runs(archs, gpu.capability):
            return fail(
                "torch",
                version,
                f"has no code for {_gpu(gpu.name, gpu.capability)}, only for {', '.join(archs)}",
                f'"no kernel image is available" would follow: {_GET_TORCH}.',
            )
    if facts.gpus and facts.fact("torch", "sees_gpus") == 0:
        return fail(
            "torch",
            version,
            "sees no GPU though the driver lists one",
            "In a container: docker run --gpus all. Else the driver was updated without a restart: "
            "restart the machine.",
        )
    return ok("torch", version, f"CUDA {built}" if built else "for the CPU")


def _torchvision(facts: Facts) -> Iterator[Finding]:
    torch, vision = facts.version("torch"), facts.version("torchvision")
    if not torch or not vision or numbers(torch)[:1] != (2,):
        return
    fitting = (0, numbers(torch)[1] + 15)
    if numbers(vision)[:2] != fitting:
        yield fail(
            "torchvision",
            vision,
            f"was not built for torch {torch}: transformers would fail at its import "
            '("operator torchvision::nms does not exist")',
            f"pip install 'torchvision=={dotted(fitting)}.*', or pip uninstall -y torchvision: "
            "edgewatch does without",
        )


def _libraries(facts: Facts) -> Iterator[Finding]:
    wrong = [*_wrong_versions(facts), *_wrong_imports(facts)]
    yield from wrong
    if not wrong:
        version = facts.version(facts.kind) or facts.version("torch") or ""
        yield ok(facts.kind, version, "with what it needs")


def _wrong_versions(facts: Facts) -> Iterator[Finding]:
    versions, install = _NEEDED[facts.kind]
    for package, (first, end) in versions.items():
        version = facts.version(package)
        if package == "torch" and version is None:
            continue  # said above
        wanted = f"{package}>={dotted(first)},<{dotted(end)}"
        if version is None:
            yield fail(package, "", f"is not installed; {wanted} is needed", install)
        elif not first <= numbers(version) < end:
            yield fail(package, version, f"{wanted} is needed", f"pip install '{wanted}'")


def _wrong_imports(facts: Facts) -> Iterator[Finding]:
    versions, install = _NEEDED[facts.kind]
    for package in versions:
        tried = facts.imports.get(package)
        if package != "torch" and tried and not tried.worked and facts.version(package):
            reason = "its import hangs" if tried.hung else f"cannot be imported: {tried.error}"
            yield fail(package, facts.version(package) or "", reason, install)


def _int8(facts: Facts) -> Iterator[Finding]:
    if facts.quantize != "int8":
        return
    if not facts.gpus:
        yield fail(
            "bitsandbytes", "", 'quantize = "int8" needs a CUDA GPU', 'set quantize = "none"'
        )
    lacking = [one for one in ("bitsandbytes", "accelerate") if not facts.version(one)]
    if lacking:
        yield fail(
            "bitsandbytes",
            "",
            f'quantize = "int8" needs {" and ".join(lacking)}',
            f"pip install {' '.join(lacking)}",
        )


def _modelopt(facts: Facts) -> Iterator[Finding]:
    version = facts.version("nvidia-modelopt")
    if version is None:
        return
    if not facts.version("requests"):
        yield fail(
            "ModelOpt",
            version,
            "needs requests and does not say so: its import would fail",
            "pip install 'edgewatch[quantize]'",
        )
    elif numbers(version) < (0, 37):
        yield fail(
            "ModelOpt",
            version,
            "is older than any that `edgewatch quantize` was made for",
            "pip install -U 'nvidia-modelopt>=0.37'",
        )


def _runs(archs: list[object], capability: tuple[int, int]) -> bool:
    """Whether machine code, or code that the driver can translate, is there for a capability."""
    for arch in archs:
        found = re.match(r"(sm|compute)_(\d+)(\d)([af]?)$", str(arch))
        if not found:
            continue
        major, minor, own = int(found.group(2)), int(found.group(3)), found.group(4)
        if own == "a":  # of this very capability alone
            if (major, minor) == capability:
                return True
        elif found.group(1) == "compute":
            if (major, minor) <= capability:
                return True
        elif major == capability[0] and minor <= capability[1]:
            return True
    return False


def _gpu(name: str, capability: tuple[int, int] | None) -> str:
    return f"{name} ({dotted(capability)})" if capability else name
