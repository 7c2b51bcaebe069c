"""Triton's interpreter: kernels run on a CPU, statement by statement."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

_KERNELS = "edgewatch.pipeline.engines.native.kernels"


def _forget(*packages: str) -> dict[str, Any]:
    """Take packages out of what is imported, but for their compiled parts, and return them."""
    taken = {
        name: module
        for name, module in sys.modules.items()
        if any(name == one or name.startswith(f"{one}.") for one in packages)
        and not name.startswith("triton._C")
    }
    for name in taken:
        del sys.modules[name]
    return taken


@pytest.fixture(scope="package")
def kernel_operations() -> Iterator[Any]:
    """`KernelOperations`, interpreted.

    Triton reads at import, and again later, what it is to do: it and the kernels are imported
    anew, and afterwards all is as before, so that nothing else meets an interpreted kernel.
    """
    pytest.importorskip("triton", reason="Triton interprets the kernels")
    before = _forget("triton", _KERNELS)
    had = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        yield import_module(f"{_KERNELS}.operations").KernelOperations
    finally:
        if had is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = had
        _forget("triton", _KERNELS)
        sys.modules.update(before)
