"""Statuses: what an HTTP status other than 200 means for the question that was asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from edgewatch.pipeline.engines.remote.replies import complaint_in
from edgewatch.pipeline.engines.remote.trouble import (
    AnswerBroken,
    FieldUnknown,
    RequestRefused,
    ServerBusy,
    ServerGone,
    ServerLost,
    SettingsWrong,
    Trouble,
)

LONGEST_REST_SECONDS = 300.0
"""A server that asks for more is asked again then all the same."""
OPTIONAL_FIELD = "mm_processor_kwargs"


def trouble_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    token: str | None,
    now_seconds: float,
) -> Trouble:
    """Return what a status means. `now_seconds`: Unix time, for a Retry-After that is a date."""
    said = complaint_in(body, token)
    told = f"answers {status}" + (f": {said}" if said else "")
    rest = retry_after_in(headers.get("Retry-After"), now_seconds)
    if 300 <= status < 400:
        # Not followed: the token would go to wherever it points.
        return SettingsWrong("points to another address", "set [engine] url to the server itself")
    if status in (401, 403):
        if token is None:
            return SettingsWrong("wants a token", "set [engine] token_file")
        return SettingsWrong("refused the token", "check [engine] token_file")
    if status == 404:
        return ServerGone(told, "check [engine] url, which ends in /v1 as a rule, and served_model")
    if status == 429:
        return ServerBusy(told, retry_after_seconds=rest)
    if status in (502, 503, 504):
        return ServerLost(told, retry_after_seconds=rest)
    if status in (400, 413, 422):
        if OPTIONAL_FIELD.encode() in body:
            return FieldUnknown(told)
        return RequestRefused(told)
    return AnswerBroken(told)


def retry_after_in(value: str | None, now_seconds: float) -> float | None:
    """Return in how many seconds to come again; None if it does not say.

    Source: RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return min(float(value[:9]), LONGEST_REST_SECONDS)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    wait_seconds = (date - datetime.fromtimestamp(now_seconds, UTC)).total_seconds()
    return min(max(0.0, wait_seconds), LONGEST_REST_SECONDS)
