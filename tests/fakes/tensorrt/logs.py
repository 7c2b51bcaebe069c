"""`ILogger`: to be derived from, and to be kept."""

from __future__ import annotations

import weakref
from enum import IntEnum
from typing import Any

from tests.fakes.tensorrt.contract import ContractBroken


class Severity(IntEnum):
    """How bad it is; the smaller, the worse."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    """As tensorrt.ILogger: a subclass must call its `__init__`."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING
    INFO, VERBOSE = Severity.INFO, Severity.VERBOSE

    def __init__(self) -> None:
        self.constructed = True

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError('Tried to call pure virtual function "log"')


class Held:
    """A logger or a runtime as the C++ side holds it: by a bare pointer."""

    def __init__(self, thing: Any, what: str) -> None:
        self._what = what
        self._there = weakref.ref(thing)

    def get(self) -> Any:
        """Return it, if it is still there."""
        thing = self._there()
        if thing is None:
            raise ContractBroken(f"the {self._what} is gone, and is used")
        return thing


def held_logger(logger: Any) -> Held:
    """Check a logger that is handed in."""
    if not isinstance(logger, ILogger):
        raise TypeError("logger: no ILogger")
    if not getattr(logger, "constructed", False):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")
    return Held(logger, "logger")
