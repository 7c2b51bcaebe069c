"""Prometheus' text format, read strictly. Source: Prometheus, "Exposition formats", text 0.0.4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_COMMENT = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)")
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^\"{}]|\"(?:[^\"\\\n]|\\[\\\"n])*\")*)\})? (\S+)"
)
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\n]|\\[\\\"n])*)\"(?:,|$)")
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}

Labels = frozenset[tuple[str, str]]


@dataclass
class Family:
    """A metric with its samples: (name of the sample, labels) to value."""

    name: str
    what: str
    kind: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, /, **labels: str) -> float:
        """Return the one sample with exactly these labels."""
        return self.samples[self.name, frozenset(labels.items())]


def parse(text: str) -> Mapping[str, Family]:
    """Read an exposition. Raises AssertionError for whatever the format or its customs forbid."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    family: Family | None = None
    for line in text.splitlines():
        if match := _COMMENT.fullmatch(line):
            word, name, rest = match.groups()
            if word == "HELP":
                assert name not in families, f"{name} comes twice"
                assert rest.endswith("."), f"{name}: what it says is no sentence"
                family = families[name] = Family(name, rest)
            else:
                assert family is not None
                assert family.name == name, "TYPE follows HELP of the same"
                assert rest in ("counter", "gauge", "histogram")
                family.kind = rest
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        assert family is not None
        assert family.kind
        name, labels_text, value = match.groups()
        allowed = {
            "counter": {family.name},
            "gauge": {family.name},
            "histogram": {f"{family.name}_{end}" for end in ("bucket", "sum", "count")},
        }
        assert name in allowed[family.kind], f"{name} stands under {family.name}"
        key = name, _labels(labels_text or "")
        assert key not in family.samples, f"{line!r} comes twice"
        family.samples[key] = float(value)
    for one in families.values():
        _check(one)
    return families


def _labels(text: str) -> Labels:
    labels, at = {}, 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, f"no label: {text[at:]!r}"
        name, value = match.groups()
        assert name not in labels
        labels[name] = re.sub(r"\\[\\\"n]", lambda found: _ESCAPES[found[0]], value)
        at = match.end()
    return frozenset(labels.items())


def _check(family: Family) -> None:
    assert re.fullmatch(r"edgewatch_[a-z0-9_]+", family.name), family.name
    assert family.name.endswith("_total") == (family.kind == "counter"), family.name
    for wrong in ("_ms", "_milliseconds", "_minutes", "_mb", "_percent"):
        assert wrong not in family.name, f"{family.name} is in no base unit"
    if family.kind == "counter":
        assert all(value >= 0 for value in family.samples.values())
    if family.kind == "histogram":
        buckets = {
            dict(labels)["le"]: value
            for (name, labels), value in family.samples.items()
            if name.endswith("_bucket")
        }
        ordered = sorted(buckets, key=float)
        assert ordered[-1] == "+Inf"
        counts = [buckets[bound] for bound in ordered]
        assert counts == sorted(counts)
        assert counts[-1] == family.samples[f"{family.name}_count", frozenset()]
