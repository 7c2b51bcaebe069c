"""`edgewatch scenes fetch`: downloads a model, once its licence was read and accepted."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.scenes.models.catalogue import (
    MODELS,
    PRECISIONS,
    SceneModel,
    model_named,
    precision_of,
)
from edgewatch.pipeline.scenes.models.fetching import Fetched, Order, fetch
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.hub import Patience
from edgewatch.pipeline.scenes.models.licences import LICENCES
from edgewatch.pipeline.scenes.models.lock import Acceptance
from edgewatch.pipeline.scenes.models.room import free_bytes, in_gb
from edgewatch.tools.scene_commands.fetch_progress import FetchProgress
from edgewatch.tools.scene_commands.licence_question import Ask, accepted_licence
from edgewatch.tools.scene_commands.model_table import model_lines, model_rows
from edgewatch.tools.scene_commands.setup import scene_root

DESCRIPTION = """\
Download a model from the hub, or a mirror of it, into the folder of [scenes] dir. Without MODEL:
the table of models and precisions. A download that was cut goes on where it ended; every file is
proved by its hash, and the model appears only when all of it is there.
"""
EPILOG = f"""\
models: {", ".join(MODELS)}
licences: {", ".join(LICENCES)}

examples:
  edgewatch scenes fetch
  edgewatch scenes fetch sdxl --accept-licence openrail++-m
  edgewatch scenes fetch flux.1-schnell --accept-licence apache-2.0
  edgewatch scenes fetch flux.1-schnell --onnx --precision fp8

Gated models (FLUX.1) need a token: accept the terms on the model's page, write a token with read
access into a file of mode 0600, and set [scenes] token_file. A token is never an argument.
Set [scenes] hub_url to a mirror where the hub cannot be reached. For a machine without network,
copy the whole folder from one that has it.

exit codes: 0 all of it is there, 2 refused (licence, token, disk, another fetch), 4 the hub or a
file cannot be had, 1 anything else, 78 settings wrong
"""


def main(
    argv: Sequence[str] | None = None,
    *,
    patience: Patience | None = None,
    room_bytes: Callable[[Path], int] = free_bytes,
    ask: Ask | None = None,
) -> int:
    """Run the command and return its exit code. Raises ConfigError, SceneError, OSError.

    `patience`, `room_bytes`, `ask`: stand in for waiting, the disk and the person.
    """
    options = _parser().parse_args(argv)
    settings = load_settings(options.config)
    folder = ModelFolder(scene_root(settings, options))
    if options.model is None:
        contract = settings.scenes.dev_commercial_licence
        _print_table(model_rows(folder, contract), folder, as_json=options.json)
        return EX_OK
    model = model_named(options.model)
    order = _order(settings, options, model, folder, patience or Patience(), room_bytes)
    accepted = accepted_licence(
        model,
        folder,
        named=options.accept_licence,
        contract=settings.scenes.dev_commercial_licence,
        ask=ask or (input if sys.stdin.isatty() and not options.json else None),
    )
    with FetchProgress() as progress:
        fetched = fetch(order, progress)
    _print_fetched(fetched, model, accepted, as_json=options.json)
    return EX_OK


def _order(
    settings: Settings,
    options: argparse.Namespace,
    model: SceneModel,
    folder: ModelFolder,
    patience: Patience,
    room_bytes: Callable[[Path], int],
) -> Order:
    precision = precision_of(model, options.precision or "auto")
    return Order(
        model=model,
        folder=folder,
        hub_url=settings.scenes.hub_url,
        onnx=precision if options.onnx else None,
        token_file=settings.scenes.token_file,
        ca_file=settings.scenes.ca_file,
        patience=patience,
        room_bytes=room_bytes,
    )


def _print_table(rows: list[dict[str, Any]], folder: ModelFolder, *, as_json: bool) -> None:
    document = {"folder": str(folder.root), "models": rows}
    print(json.dumps(document) if as_json else model_lines(rows))


def _print_fetched(
    fetched: Fetched, model: SceneModel, accepted: Acceptance, *, as_json: bool
) -> None:
    if as_json:
        document = {
            "model": model.name,
            "repo": fetched.repo,
            "revision": fetched.revision,
            "folder": str(fetched.target),
            "files": fetched.files,
            "bytes": fetched.size_bytes,
            "here_already": fetched.here_already,
            "licence": accepted.licence,
            "licence_accepted_at": accepted.accepted_at,
        }
        print(json.dumps(document))
        return
    done = "is here already" if fetched.here_already else "is here, every file proved"
    print(
        f"{model.name} {done}: {fetched.files} files, {in_gb(fetched.size_bytes)}, in "
        f"{fetched.target} ({fetched.repo} at {fetched.revision[:12]})"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes fetch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="one of those below")
    parser.add_argument(
        "--precision", choices=("auto", *PRECISIONS), help="of ready exports; refuses what is not"
    )
    parser.add_argument("--onnx", action="store_true", help="ready ONNX exports, for TensorRT")
    parser.add_argument("--accept-licence", metavar="NAME", help="I read it, and accept it")
    parser.add_argument("--config", type=Path, help="settings file")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="instead of [scenes] dir")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser
