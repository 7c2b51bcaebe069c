"""The libraries this backend needs: which versions work, what is installed, their chatter."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata

from edgewatch.pipeline.errors import SceneUnavailable

INSTALL = "pip install 'edgewatch[scenes]'"
VERSIONS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "torch": ((2, 6), (3,)),
    "diffusers": ((0, 35), (1,)),
    "transformers": ((4, 57), (6,)),
    "safetensors": ((0, 5), (1,)),
}
"""From the first on, and below the second; pyproject.toml says the same."""


def installed_versions(packages: tuple[str, ...] = tuple(VERSIONS)) -> dict[str, str | None]:
    """Return the versions of packages, read without importing them; None where one is missing."""
    return {package: _version(package) for package in packages}


def refuse_wrong_versions(installed: Mapping[str, str | None]) -> None:
    """Let versions pass that this backend was made for. Raises SceneUnavailable with all faults."""
    wrong = []
    for package, (first, end) in VERSIONS.items():
        wanted = f"{package} >={_dotted(first)},<{_dotted(end)}"
        version = installed.get(package)
        if version is None:
            wrong.append(f"{wanted} is not installed")
        elif not first <= numbers(version) < end:
            wrong.append(f"{package} {version} is installed, {wanted} is needed")
    if wrong:
        raise SceneUnavailable(f"the backend diffusers cannot run: {'; '.join(wrong)}: {INSTALL}")


def dtype_keyword() -> str:
    """Return what diffusers calls the precision to load in: an older one ignores the newer name,
    and a newer one warns of the older name.
    """
    return "dtype" if numbers(_version("diffusers") or "0") >= (0, 42) else "torch_dtype"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' remarks and progress bars off the terminal while they are used.

    What they say of our own doing is refused by us beforehand (sizes, long prompts, versions).
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    before = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # EulerDiscreteScheduler makes an array of a tensor in a way that NumPy 2 gives up.
            warnings.filterwarnings(
                "ignore", "__array__ implementation", DeprecationWarning, "diffusers"
            )
            yield
    finally:
        diffusers_logging.set_verbosity(before[0])
        transformers_logging.set_verbosity(before[1])
        diffusers_logging.enable_progress_bar()
        if bars:
            transformers_logging.enable_progress_bar()


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's leading numbers: (2, 13, 0) of "2.13.0+cpu"."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
