"""What servers say: read right, or not at all."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.remote.replies import (
    LONGEST_COMPLAINT,
    ServedModel,
    answer_from,
    answer_words,
    complaint_in,
    completion_in,
    models_in,
)
from edgewatch.pipeline.engines.remote.statuses import (
    LONGEST_REST_SECONDS,
    retry_after_in,
    trouble_of,
)
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
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed

FORM = Form()
WORDS = answer_words(FORM)
NOW_SECONDS = 1_767_225_600.0  # 2026-01-01T00:00:00Z
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("choices", "logprobs", "content", "top_logprobs", "token", "logprob"),
                    *("message", "model", "usage", "prompt_tokens", "data", "id", "root"),
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def tokens(**probabilities: float) -> list[tuple[str, float]]:
    return [(word.replace("_", " "), math.log(p)) for word, p in probabilities.items()]


def test_all_spellings_of_an_answer_count_and_nothing_else() -> None:
    told = tokens(Yes=0.4, _Yes=0.2, yes=0.1, No=0.1, _no=0.1, Yesterday=0.05, None_=0.05)
    answer = answer_from(told, WORDS, FORM, "hash")
    assert answer.score == pytest.approx(0.7 / 0.9)
    assert answer.prompt_hash == "hash"
    assert not answer.uncertain


def test_tokens_spelt_alike_are_summed() -> None:
    told = [("Yes", math.log(0.3)), ("Yes", math.log(0.3)), ("No", math.log(0.3))]
    assert answer_from(told, WORDS, FORM, "").score == pytest.approx(2 / 3)


def test_an_answer_that_was_not_named_is_bounded_by_the_least_that_was() -> None:
    told = tokens(Yes=0.9, maybe=0.02)
    score = answer_from(told, WORDS, FORM, "").score
    assert score == pytest.approx(0.9 / 0.92)


@pytest.mark.parametrize(
    "told",
    [
        tokens(Maybe=0.9),
        [("Yes", math.nan), ("No", -1.0)],
        [("Yes", 3.0), ("No", -1.0)],
        [("token_id:9454", -0.1)],
    ],
    ids=["neither", "nan", "above one", "numbers"],
)
def test_what_is_no_answer_is_never_taken_for_normal(told: list[tuple[str, float]]) -> None:
    with pytest.raises(AnswerUnreadable):
        answer_from(told, WORDS, FORM, "")


def test_answers_spelt_alike_are_refused() -> None:
    with pytest.raises(EngineFailed, match="spelt alike"):
        answer_words(Form("Yes", "yes"))


@given(JSON)
def test_no_document_makes_the_reader_raise_anything_but_that_it_is_broken(document: Any) -> None:
    body = json.dumps(document).encode()
    for read in (models_in, completion_in):
        with suppress(AnswerBroken):
            read(body)


@given(st.binary(max_size=200))
def test_no_bytes_do_either(body: bytes) -> None:
    for read in (models_in, completion_in):
        with pytest.raises(AnswerBroken):
            read(body + b"!")


@given(JSON | st.text(max_size=2000), st.sampled_from([400, 401, 404, 429, 500, 503, 302, 418]))
def test_any_error_is_some_trouble_short_and_without_the_token(document: Any, status: int) -> None:
    body = json.dumps({"error": {"message": document}, "token": "s3cret-token"}).encode()
    trouble = trouble_of(status, {}, body, token="s3cret-token", now_seconds=NOW_SECONDS)
    assert "s3cret-token" not in str(trouble)
    assert len(trouble.what) <= LONGEST_COMPLAINT + 40


def test_a_deep_document_is_broken_and_not_a_crash() -> None:
    with pytest.raises(AnswerBroken):
        completion_in(b"[" * 100_000)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (301, b"", SettingsWrong),
        (401, b"", SettingsWrong),
        (403, b"", SettingsWrong),
        (404, b"", ServerGone),
        (400, b'{"message": "too long"}', RequestRefused),
        (422, b'{"detail": [{"loc": ["body", "mm_processor_kwargs"]}]}', FieldUnknown),
        (429, b"", ServerBusy),
        (500, b"", AnswerBroken),
        (502, b"<html>", ServerLost),
        (503, b"", ServerLost),
        (504, b"", ServerLost),
        (206, b"", AnswerBroken),
    ],
)
def test_each_status_has_its_remedy(status: int, body: bytes, kind: type[Trouble]) -> None:
    trouble = trouble_of(status, {}, body, token=None, now_seconds=NOW_SECONDS)
    assert type(trouble) is kind


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("999999999999", LONGEST_REST_SECONDS),
        ("-3", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Thu, 01 Jan 2026 00:00:09", 9.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", LONGEST_REST_SECONDS),
    ],
)
def test_retry_after_in_both_its_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_in(value, NOW_SECONDS) == seconds


@given(st.text(max_size=30))
def test_no_retry_after_is_too_odd(value: str) -> None:
    seconds = retry_after_in(value, NOW_SECONDS)
    assert seconds is None or 0.0 <= seconds <= LONGEST_REST_SECONDS


def test_a_models_hash_is_of_what_does_not_change_between_machines_and_starts() -> None:
    here = ServedModel("cosmos", "/models/Cosmos-7B", "vllm")
    there = ServedModel("cosmos", "/mnt/data/Cosmos-7B/", "vllm")
    other = ServedModel("cosmos", "/models/Cosmos-7B-FP8", "vllm")
    assert here.hash == there.hash != other.hash


def test_a_complaint_is_one_clean_line() -> None:
    body = json.dumps({"error": {"message": "no\n\x1b[31m such  model: s3 " + "x" * 900}}).encode()
    said = complaint_in(body, "s3")
    assert said.startswith("no [31m such model: (token)")
    assert len(said) <= LONGEST_COMPLAINT
