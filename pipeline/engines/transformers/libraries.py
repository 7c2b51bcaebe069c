"""The libraries this engine needs: which versions work, what is installed, and the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.qwen.quantisation import Place
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

INSTALL = "pip install 'edgewatch[transformers]'"
Versions = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
VERSIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "torch": ((2, 6), (3,)),
    "transformers": ((4, 57), (6,)),
    "tokenizers": ((0, 22), (1,)),
    "safetensors": ((0, 5), (1,)),
}
"""From the first on, and below the second; pyproject.toml says the same."""

_OPTIONAL = ("accelerate", "bitsandbytes", "compressed-tensors")


def refuse_wrong_versions(
    installed: Mapping[str, str | None],
    *,
    kind: str = "transformers",
    versions: Versions = VERSIONS,
    install: str = INSTALL,
) -> None:
    """Let versions pass that an engine was made for. Raises EngineFailed with all that is wrong.

    `installed`: package to version; None where it is not installed. `versions`, `install`: what
    the engine of this kind needs, and how it is installed.
    """
    wrong = []
    for package, (first, end) in versions.items():
        wanted = f"{package} >={_dotted(first)},<{_dotted(end)}"
        version = installed.get(package)
        if version is None:
            wrong.append(f"{wanted} is not installed")
        elif not first <= _numbers(version) < end:
            wrong.append(f"{package} {version} is installed, {wanted} is needed")
    if wrong:
        raise EngineFailed(f'[engine] kind = "{kind}": {"; ".join(wrong)}', install)


def installed_versions(
    packages: Iterable[str] = (*VERSIONS, *_OPTIONAL),
) -> dict[str, str | None]:
    """Return the versions of all packages that matter here; None where one is not installed."""
    return {package: _version(package) for package in packages}


def choose_device(wanted: str) -> torch.device:
    """Return the device of `[engine] device`. Raises EngineFailed if it is not there."""
    import torch

    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device("cuda:0" if wanted == "cuda" else wanted)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            built = torch.version.cuda or "without CUDA"
            raise EngineFailed(
                f'[engine] device = "{wanted}": torch {torch.__version__} ({built}) sees '
                f"{count} GPUs",
                'check nvidia-smi and the build of torch, or set device = "cpu"',
            )
    return device


def place_of(device: torch.device) -> Place:
    """Return what matters of a device and the installed packages for quantised weights."""
    import torch

    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    there = frozenset(package for package in _OPTIONAL if _version(package) is not None)
    return Place(str(device), capability, there)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return (2, 13, 0) for "2.13.0+cpu", (2, 9) for "2.9.0a0": enough to compare with."""
    numbers = []
    for part in version.split("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
