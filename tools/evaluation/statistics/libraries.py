"""The libraries that do the standard statistics, imported where they are asked for."""

from __future__ import annotations

import importlib
from types import ModuleType

from edgewatch.config.errors import ConfigError


def scipy_stats() -> ModuleType:
    """Return `scipy.stats`. Raises ConfigError, saying what to install, if it is missing."""
    return _library("scipy.stats")


def sklearn_metrics() -> ModuleType:
    """Return `sklearn.metrics`. Raises ConfigError, saying what to install, if it is missing."""
    return _library("sklearn.metrics")


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"the statistics need {name.partition('.')[0]}, which cannot be imported ({error}); "
            "pip install 'edgewatch[evaluate]'"
        ) from error
