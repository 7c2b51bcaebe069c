"""A review of the settings: where they come from, what is unwise in them, what has no effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgewatch.config.errors import ConfigError
from edgewatch.config.sections import Section
from edgewatch.config.settings import TRAINED_FPS, Settings
from edgewatch.pipeline.hops import overlaps
from edgewatch.tools.findings import Finding, fail, ok, warn

NOT_YET = {
    "evidence": ("pre_seconds", "post_seconds", "max_bytes"),
    "web": ("host", "port", "token_file"),
}
"""Keys that are read and checked, and that nothing in this version acts on."""

NOT_BUILTIN = (
    *("model", "scene", "prompt", "answers", "answer_prefix", "least_mass", "device", "gpus"),
    *("tensor_parallel", "quantize", "url", "more_urls", "served_model", "token_file", "ca_file"),
    *("send", "request_seconds"),
)
"""Keys of [engine] that the built-in engine has no use for."""


def refused(error: ConfigError, path: Path | None) -> list[Finding]:
    """Tell each problem of settings that cannot be used."""
    if not error.problems:
        return [fail("settings", str(path or ""), str(error), "Correct the settings.")]
    return [
        fail("settings", f"{one.place}: {one.key}" if one.key else one.place, one.wrong, one.cure)
        for one in error.problems
    ]


def review(settings: Settings) -> list[Finding]:
    """Tell where the settings come from, then what about them is worth knowing."""
    return [
        _origin(settings),
        *(_unwise(warning) for warning in settings.warnings),
        *_too_fast(settings),
        *_without_effect(settings),
        *_shared(settings),
    ]


def _origin(settings: Settings) -> Finding:
    if settings.source is None:
        return warn(
            "settings",
            "built-in defaults",
            "there is no settings file",
            "Write one: /etc/edgewatch/edgewatch.toml, ./edgewatch.toml, or name it with --config.",
        )
    return ok("settings", str(settings.source), "read, and nothing in it is wrong")


def _unwise(warning: str) -> Finding:
    """Take a warning apart: what is unwise, and after the first full stop what to do."""
    detail, _, cure = warning.partition(". ")
    return warn("settings", "", detail, cure or "See docs/configuration.md.")


def _too_fast(settings: Settings) -> Iterator[Finding]:
    """Warn of a sampling rate that no camera has taken over yet: replay has."""
    if settings.clips.fps > TRAINED_FPS and not settings.cameras:
        yield warn(
            "settings",
            "[clips] fps",
            f"{settings.clips.fps:g} is above {TRAINED_FPS:g}, which engines are made for; it "
            "costs time and brings nothing",
            f"Set fps = {TRAINED_FPS:.1f}",
        )


def _shared(settings: Settings) -> Iterator[Finding]:
    """Say how much of what `native` sees clips share, and what was rounded for it."""
    if settings.engine.kind != "native" or not settings.engine.incremental:
        return
    cut = [(plan.name, plan.clips) for plan in settings.plans()]
    for one in overlaps(cut or [("every camera", settings.clips)]):
        names = ", ".join(one.cameras)
        if one.rounding:
            yield warn(
                "clips",
                names,
                f"{one.rounding}: {one.sentence}",
                "Clips and hops are an even number of frames, so that clips share pairs: set "
                f"seconds = {one.frames / one.clips.fps:g} and stride_seconds = "
                f"{one.hop / one.clips.fps:g}.",
            )
        else:
            yield ok("clips", names, one.sentence)


def _without_effect(settings: Settings) -> Iterator[Finding]:
    for name, keys in NOT_YET.items():
        if changed := _changed(getattr(settings, name), keys):
            detail = f"{', '.join(changed)}: set, but not in this version yet"
            yield ok("settings", f"[{name}]", detail)
    if settings.engine.kind != "builtin":
        return
    unused = _changed(settings.engine, NOT_BUILTIN)
    if unused or any(camera.prompt is not None for camera in settings.cameras):
        names = ", ".join(unused) or "prompt"
        yield ok("settings", "[engine]", f"{names}: set, but the built-in engine has no use for it")


def _changed(section: Section, keys: Sequence[str]) -> list[str]:
    """Name the keys that were set to something else than their default."""
    fields = type(section).model_fields
    return [key for key in keys if getattr(section, key) != fields[key].get_default()]
