"""How a value that does not fit is told to a person: what is wrong, what is allowed, the cure."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from edgewatch.config.sections import Section

NAMES_OF_TYPES: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a path in quotes",
    tuple: "a list of texts",
}

SECRETS_INLINE = {"password": "password_file", "token": "token_file", "key": "key_file"}
"""Keys that people try, and where the secret belongs instead."""


class Complaint(NamedTuple):
    """One thing wrong within a section."""

    key: str
    """Empty: the section as a whole."""
    wrong: str
    cure: str


def complaints(error: ValidationError, model: type[Section]) -> Iterator[Complaint]:
    """Tell each error of a section; texts are never repeated, for they may hold secrets."""
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0]) if detail["loc"] else ""
        yield _complaint(detail, key, model)


def _complaint(detail: ErrorDetails, key: str, model: type[Section]) -> Complaint:
    match detail["type"]:
        case "broken_rule":
            context = detail["ctx"]
            return Complaint(context["key"] or key, context["wrong"], f"{context['cure']}.")
        case "extra_forbidden":
            return Complaint(key, "unknown key", unknown_key_cure(key, model.model_fields))
        case "missing":
            return Complaint(key, "is missing", f"Add it: {allowed(model.model_fields[key])}.")
    wanted = allowed(model.model_fields[key])
    return Complaint(key, f"cannot be {_kind(detail['input'])}", f"It must be {wanted}.")


def _kind(value: object) -> str:
    """Name a value that does not fit; numbers are repeated, texts are not."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value}"
        case str():
            return "this text" if value else "empty"
        case list():
            return "a list"
        case dict():
            return "a table"
    return "this"


def unknown_key_cure(key: str, known: Iterable[str]) -> str:
    """Say what an unknown key may have been meant to be."""
    known = list(known)
    if (instead := SECRETS_INLINE.get(key)) in known:
        return f"Secrets stay out of the settings: write it into a file and set {instead}."
    return nearest(key, known)


def nearest(word: str, known: Iterable[str]) -> str:
    """Name the known word most like this one, or all of them if none is."""
    known = sorted(known)
    if close := difflib.get_close_matches(word, known, n=1, cutoff=0.6):
        return f'Did you mean "{close[0]}"?'
    return f"Known here: {', '.join(known)}."


def allowed(field: FieldInfo) -> str:
    """Say what a key takes: "a whole number from 1 to 65535"."""
    kinds = base_types(field.annotation) - {types.NoneType}
    if choices := choices_of(field):
        words = "one of " + ", ".join(f'"{choice}"' for choice in choices)
        return f"{words}, or {NAMES_OF_TYPES[Path]}" if Path in kinds else words
    names = " or ".join(NAMES_OF_TYPES[kind] for kind in sorted(kinds, key=str))
    if tuple in kinds and int in base_types(get_args(field.annotation)[0]):
        names = "a list of whole numbers"
    return f"{names} {_bounds(field)}".strip()


def choices_of(field: FieldInfo) -> list[str]:
    """Return the words that a key takes, in their order; none if it takes anything else."""
    return [text for kind in base_types(field.annotation) for text in get_args(kind)]


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    least_characters = 0
    for rule in [*field.metadata, *_metadata(field.annotation)]:
        match rule:
            case annotated_types.Ge(ge):
                low = f"from {ge}"
            case annotated_types.Gt(gt):
                low = f"above {gt}"
            case annotated_types.Le(le):
                high = f"to {le}"
            case annotated_types.MinLen(length):
                least_characters = length
            case annotated_types.MaxLen(length):
                start = f"{least_characters} to" if least_characters else "at most"
                high = f"of {start} {length} characters"
    if low.startswith("above") and high:
        return f"{low}, at most {high.removeprefix('to ')}"
    return f"{low} {high}".strip() if high else low.replace("from", "of at least")


def _metadata(annotation: Any) -> Iterator[Any]:
    """Walk the rules inside `Annotated[int, Field(ge=1)] | None`."""
    if get_origin(annotation) is Annotated:
        for rule in annotation.__metadata__:
            yield from rule.metadata if isinstance(rule, FieldInfo) else [rule]
    for part in get_args(annotation):
        if part is not annotation and get_origin(part) in (Annotated, Union, types.UnionType):
            yield from _metadata(part)


def base_types(annotation: Any) -> set[Any]:
    """The plain types of an annotation; a Literal stands for itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return base_types(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return {kind for part in get_args(annotation) for kind in base_types(part)}
    return {annotation if origin in (None, Literal) else origin}
