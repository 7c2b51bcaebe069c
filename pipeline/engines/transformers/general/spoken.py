"""The answers' tokens of any tokenizer, also as they stand within a text. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_tokens, spellings
from edgewatch.pipeline.engines.question import Form

Encode = Callable[[str], Sequence[int]]

_BEFORE = "\n"


def spoken_tokens(encode: Encode, form: Form) -> AnswerTokens:
    """Find both answers' tokens; `encode` gives a text's token ids, without any added ones.

    A SentencePiece tokenizer begins every text with a space, so the word without one is never met
    when it is asked for alone, though a model may write it after a line break. Raises EngineFailed
    as `answers.answer_tokens`.
    """
    found = answer_tokens(encode, form)
    anomaly = _within(encode, form.anomaly_answer)
    normal = _within(encode, form.normal_answer)
    # What stands on both sides is no word of either: the token for what is unknown.
    neither = {*anomaly, *found.anomaly} & {*normal, *found.normal}
    return AnswerTokens(
        tuple(dict.fromkeys(each for each in (*found.anomaly, *anomaly) if each not in neither)),
        tuple(dict.fromkeys(each for each in (*found.normal, *normal) if each not in neither)),
    )


def _within(encode: Encode, word: str) -> list[int]:
    """Return the single tokens of a word's spellings as they follow a line break."""
    before = list(encode(_BEFORE))
    texts = (list(encode(_BEFORE + spelling)) for spelling in spellings(word))
    return [ids[-1] for ids in texts if ids[:-1] == before]
