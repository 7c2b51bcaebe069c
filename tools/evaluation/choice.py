"""Which engines to evaluate, as they are named on the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.config.sections import Engine
from edgewatch.config.settings import Settings, load_settings

KINDS = ("transformers", "tensorrt", "remote", "native")
"""Those that need a model or a server; beside them there is `builtin`."""
_OF_THE_MODEL = frozenset(
    {"kind", "model", "quantize", "precision", "url", "more_urls", "served_model", "token_file"}
    | {"ca_file", "calibration"}
)
"""Keys of [engine] that belong to one model; the others hold for any (prompt, threshold, ...)."""
_NAMED = re.compile(r"(?P<name>[^=:/,]+)=(?P<rest>.+)", re.DOTALL)
_NEXT_KEY = re.compile(r",(?=\s*[a-z_]+\s*=)")
HOW = f"write builtin, KIND:MODEL_OR_URL (KIND: {', '.join(KINDS)}), or a FILE.toml"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """One engine to evaluate."""

    name: str
    """What tables call it; unique."""
    settings: Settings
    """Those of the evaluation, with this engine's section."""


def read_choices(texts: Sequence[str], base: Settings) -> tuple[EngineChoice, ...]:
    """Read each `--engine`; none at all means the engine of the settings.

    Raises ConfigError.
    """
    if not texts:
        return (EngineChoice(base.engine.kind, base),)
    choices = [read_choice(text, base) for text in texts]
    names = [one.name for one in choices]
    for text, choice in zip(texts, choices, strict=True):
        if names.count(choice.name) > 1:
            raise ConfigError(
                f"--engine {text}: {choice.name!r} is there twice; give one a name of its own: "
                f"--engine NAME={text}"
            )
    return tuple(choices)


def read_choice(text: str, base: Settings) -> EngineChoice:
    """Read `[NAME=]ENGINE[,key=value…]`. Raises ConfigError.

    ENGINE is `builtin`, `KIND:MODEL_OR_URL`, or a FILE.toml, whose [engine] section counts. Keys
    are those of [engine]. What is said of no model in particular (prompt, threshold, answers,
    ...) is taken from `base`; what belongs to a model only if `base` has the same model.
    """
    name, rest = "", text.strip()
    if named := _NAMED.fullmatch(rest):
        name, rest = named["name"].strip(), named["rest"].strip()
    subject, *pairs = _NEXT_KEY.split(rest)
    more = dict(_pair(text, pair) for pair in pairs)
    chosen = _settings(text, subject.strip(), more, base)
    return EngineChoice(name or rest, base.with_engine_of(chosen))


def _settings(text: str, subject: str, more: Mapping[str, Any], base: Settings) -> Settings:
    """Return settings whose engine, and token, are the chosen ones."""
    kind, colon, target = subject.partition(":")
    if subject == "builtin":
        return _merged(base, {"kind": "builtin"}, more)
    if colon and kind in KINDS and target:
        return _merged(base, {"kind": kind, "url" if kind == "remote" else "model": target}, more)
    if subject.endswith(".toml"):
        return load_settings(Path(subject), environ={}, overrides={"engine": dict(more)})
    raise ConfigError(f"--engine {text}: names no engine; {HOW}")


def _merged(base: Settings, subject: Mapping[str, Any], more: Mapping[str, Any]) -> Settings:
    said = {
        key: _plain(value) for key, value in base.engine.model_dump(exclude_defaults=True).items()
    }
    same = _names_same(base.engine, subject)
    kept = {key: value for key, value in said.items() if same or key not in _OF_THE_MODEL}
    chosen = load_settings(
        environ={}, overrides={"engine": {**kept, **subject, **more}}, default_files=()
    )
    if same and "token_file" not in more and chosen.engine_token is None:
        # A token that came as a credential and not by a file stays with its server.
        return base.model_copy(update={"engine": chosen.engine})
    return chosen


def _names_same(engine: Engine, subject: Mapping[str, Any]) -> bool:
    if engine.kind != subject["kind"]:
        return False
    if "url" in subject:
        return engine.url == str(subject["url"])
    return "model" not in subject or engine.model == Path.cwd() / str(subject["model"])


def _pair(text: str, pair: str) -> tuple[str, Any]:
    key, _, written = (part.strip() for part in pair.partition("="))
    if key not in Engine.model_fields:
        known = ", ".join(sorted(Engine.model_fields))
        raise ConfigError(f"--engine {text}: [engine] has no key {key!r}; there are {known}")
    try:
        return key, tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return key, written


def _plain(value: Any) -> Any:
    """Return a value as settings are written: paths as text, tuples as they are."""
    return str(value) if isinstance(value, Path) else value
