"""What goes wrong between us and a hub: what passes, and what a person must do about the rest."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.pipeline.errors import SceneError, SceneRefused, SceneUnavailable

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
"""Statuses that may be another one on the next try."""


class TryAgain(Exception):
    """Something that may pass. `wait_seconds`: what the server asked for."""

    def __init__(self, what: str, wait_seconds: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom we asked for what, for the words of an error."""

    hub_url: str
    repo: str
    token_file: str | None
    """Where the token came from that was shown; None: none was."""


def error_of(status: int, asked: Asked, retry_after: str | None = None) -> Exception:
    """Return what a status means: TryAgain, SceneRefused or SceneUnavailable."""
    if status in PASSING:
        return TryAgain(f"the server answered {status}", _seconds(retry_after))
    terms = f"{asked.hub_url}/{asked.repo}"
    if status == 401 and asked.token_file is None:
        return SceneRefused(
            f"{asked.repo} is gated: the hub wants to know who asks. Accept its terms at {terms}, "
            f"make a token with read access ({asked.hub_url}/settings/tokens), write it into a "
            "file of mode 0600 and set [scenes] token_file"
        )
    if status == 401:
        return SceneRefused(
            f"the hub does not know the token in {asked.token_file}. Make a new one with read "
            f"access ({asked.hub_url}/settings/tokens) and write it there"
        )
    if status == 403 and asked.token_file is None:
        return SceneRefused(
            f"the hub refuses {asked.repo} to those without a token. Accept its terms at {terms} "
            "and set [scenes] token_file"
        )
    if status == 403:
        return SceneRefused(
            f"the hub knows the token in {asked.token_file}, but its owner may not read "
            f"{asked.repo}. Accept its terms at {terms}, and let the token read gated repositories"
        )
    return _unavailable(status, asked)


def _unavailable(status: int, asked: Asked) -> SceneError:
    if status == 404:
        return SceneUnavailable(
            f"{asked.hub_url} has no {asked.repo}, or hides it from this token. If [scenes] "
            "hub_url is a mirror, let it hold that repository"
        )
    return SceneUnavailable(
        f"{asked.hub_url} answered {status} when asked for {asked.repo}. If [scenes] hub_url is a "
        "mirror, look at its log"
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else None
