"""How long a child may take for what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of a model in a child; all in seconds."""

    load_seconds: float = 570.0
    """From the start of the process until the model is ready: a cold disk is slow."""
    beat_seconds: float = 1.0
    """A ready child sends a sign of life so often."""
    silence_seconds: float = 5.0
    """A ready child that says nothing for so long is stuck."""
    request_seconds: float = 45.0
    """Longest wait for the answer to one request; the model's own limits are shorter."""
    idle_seconds: float = 45.0
    """After so long without a request the child tries whether its model still answers."""
    canary_seconds: float = 10.0
    """Longest that this trial may take."""
    polite_seconds: float = 2.0
    """For closing when asked; then SIGTERM ..."""
    term_seconds: float = 0.7
    """... and after this, SIGKILL, ..."""
    kill_seconds: float = 1.0
    """... which the kernel carries out within this."""
