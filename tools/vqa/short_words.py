"""Short answers made alike before they are compared, as VQA's official tool makes them. Pure.

Source: GT-Vision-Lab/VQA, PythonEvaluationTools/vqaEvaluation/vqaEval.py (a013f00, "updated for
v2.0"), `processPunctuation` and `processDigitArticle`, followed with their peculiarities: a period
stays before a digit only, and is taken out at most 32 times (the tool hands the flag re.UNICODE
over as the count).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NUMBERS = {
    "none": "0",
    **{
        word: str(number)
        for number, word in enumerate(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
        )
    },
}
ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_MOST_PERIODS = int(re.UNICODE)

_WRITTEN_RIGHT = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd
how'll how's I'm I've isn't it'd it'll ma'am mightn't might've mustn't must've needn't not've
o'clock oughtn't shan't should've shouldn't somebody'll somebody's someone'd someone'll someone's
something'd something'll that's there'd there're there's they'd they'll they're they've wasn't we've
weren't what'll what're what's what've when's where'd where's where've who'd who'll who's who've
why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
"""
"""Written without their apostrophe, they get it."""
_TWICE = """
couldn't've hadn't've he'd've I'd've it'd've mightn't've she'd've shouldn't've somebody'd've
someone'd've something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'd've you'd've
"""
"""Written without either of their apostrophes, they get both."""
_APART = {
    "'ow'sat": "'ow's'at",
    "'ows'at": "'ow's'at",
    "ow's'at": "'ow's'at",
    "somebody'd": "somebodyd",
    "twas": "'twas",
    "y'alld've": "y'all'd've",
    "y'allll": "y'all'll",
    "yall'll": "y'all'll",
}


def _contractions() -> dict[str, str]:
    found = dict(_APART)
    for right in _WRITTEN_RIGHT.split():
        found[right.replace("'", "")] = right
    for right in _TWICE.split():
        first = right.index("'")
        last = right.rindex("'")
        found[right[:first] + right[first + 1 :]] = right
        found[right[:last] + right[last + 1 :]] = right
    return found


CONTRACTIONS = _contractions()


def on_one_line(text: str) -> str:
    """Return a text without line breaks and tabs, and without space around it."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def alike(text: str) -> str:
    """Return an answer without punctuation, capitals and articles; numbers as digits."""
    return _words_alike(_without_punctuation(text))


def vqa_accuracy(reply: str, answers: Iterable[str], *, cleaned: bool = True) -> float:
    """Return how far a reply agrees with people's answers, 0 to 1.

    The mean, over leaving out each person in turn, of min(1, others who said the same / 3). The
    tool compares texts as they are where all people said the same, so that "Yes" is wrong where
    ten said "yes". Whoever publishes figures therefore cleans replies before the tool sees them
    (LLaVA's and lmms-eval's EvalAIAnswerProcessor): `cleaned`. Without, it is the tool alone.
    """
    given = [on_one_line(answer) for answer in answers]
    said = on_one_line(alike(on_one_line(reply)) if cleaned else reply)
    if len(set(given)) > 1:
        given = [alike(answer) for answer in given]
        said = alike(said)
    same = [answer == said for answer in given]
    matches = sum(same)
    return sum(min(1.0, (matches - one) / 3) for one in same) / len(same)


def _without_punctuation(text: str) -> str:
    made = text
    numbers = _DIGIT_COMMA_DIGIT.search(text) is not None
    for sign in _PUNCTUATION:
        beside_space = f"{sign} " in text or f" {sign}" in text
        made = made.replace(sign, "" if beside_space or numbers else " ")
    return _PERIOD.sub("", made, count=_MOST_PERIODS)


def _words_alike(text: str) -> str:
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
