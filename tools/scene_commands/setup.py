"""Settings and options of a scenes command to what a scene engine is made of."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgewatch.config.settings import Settings
from edgewatch.pipeline.scenes.backends import BACKENDS
from edgewatch.pipeline.scenes.models.catalogue import MODELS, PRECISIONS
from edgewatch.pipeline.scenes.setup import SceneSetup


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `scene_setup` reads, each of which wins over its setting."""
    parser.add_argument("--config", type=Path, help="settings file")
    parser.add_argument("--backend", choices=BACKENDS, help="what makes the picture")
    parser.add_argument("--model", choices=list(MODELS), help="which model paints it")
    parser.add_argument("--precision", choices=("auto", *PRECISIONS), help="of the weights")
    parser.add_argument("--steps", type=int, metavar="N", help="denoising steps")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="folder of models and plans")
    parser.add_argument("--url", help="image server, for the backend http")
    parser.add_argument("--dialect", choices=("openai", "nim"), help="what that server speaks")


def scene_setup(settings: Settings, options: argparse.Namespace) -> SceneSetup:
    """Return what is asked for; an option that is absent or None leaves its setting in force."""
    scenes = settings.scenes

    def chosen(name: str) -> object:
        given = getattr(options, name, None)
        return getattr(scenes, name) if given is None else given

    values = {name: chosen(name) for name in _OPTIONS}
    return SceneSetup(
        root=scene_root(settings, options),
        resident_bytes=scenes.resident_bytes,
        dev_licence=scenes.dev_commercial_licence,
        token_file=scenes.http_token_file,
        ca_file=scenes.ca_file,
        request_seconds=scenes.request_seconds,
        **values,  # type: ignore[arg-type] # argparse and pydantic have checked each
    )


_OPTIONS = ("backend", "model", "precision", "steps", "device", "url", "dialect")


def scene_root(settings: Settings, options: argparse.Namespace) -> Path:
    """Return the folder of models and plans."""
    given = getattr(options, "dir", None) or settings.scenes.dir
    return Path(given).absolute() if given else settings.service.data_dir / "scenes"
