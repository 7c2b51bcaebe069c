"""`edgewatch scenes`: synthetic scenes with known truth; picks the subcommand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from edgewatch.config.errors import ConfigError
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.errors import (
    EdgewatchError,
    SceneError,
    SceneInvalid,
    SceneRefused,
    SceneUnavailable,
)

EX_REFUSED = 2
EX_INVALID = 3
EX_UNAVAILABLE = 4

SUBCOMMANDS = {
    "doctor": "which backends and models can run here, and what is missing for the others",
    "fetch": "download a model, after its licence was read and accepted",
    "build": "export a model to ONNX and build TensorRT plans for this GPU",
    "make": "a still picture of a text",
    "clip": "a video with an incident, or its harmless twin, and the truth about every frame",
    "validate": "examine pictures and clips: are they pictures, is the truth true?",
    "purge": "delete what fetch, build and make left behind, and nothing else",
    "train-builtin": "fit the built-in engine's combiner on drawn incidents",
}

USAGE = """\
usage: edgewatch scenes SUBCOMMAND [options]

Synthetic scenes, whose truth is known because they were made here: to rehearse the alarm, to see
what would be noticed, to train. Drawn scenes need nothing else; Flux and SDXL are optional.

subcommands:
{subcommands}

`edgewatch scenes SUBCOMMAND --help` tells more. A first look, without any model:
  edgewatch scenes clip --backend procedural --seed 7 --out scenes/
  edgewatch evaluate scenes/ --engine builtin

exit codes: 0 done · 2 refused (licence, memory, disk, or asked wrongly) · 3 what came out is no
picture to be used · 4 backend, package or model missing · 1 anything else · 78 settings wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code; `argv` without the command's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        lines = "\n".join(f"  {one:<14} {does}" for one, does in SUBCOMMANDS.items())
        print(USAGE.format(subcommands=lines), end="")
        return EX_OK
    if name not in SUBCOMMANDS:
        known = ", ".join(SUBCOMMANDS)
        sys.stderr.write(f"edgewatch scenes: no subcommand {name!r}; there are {known}\n")
        return EX_REFUSED
    configure_logs(default="error", stream=sys.stderr)
    try:
        module = f"edgewatch.tools.scene_commands.{name.replace('-', '_')}"
        code: int = importlib.import_module(module).main(arguments[1:])
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except (EdgewatchError, OSError) as error:
        sys.stderr.write(f"edgewatch scenes {name}: {error}\n")
        return _exit_code(error)
    except KeyboardInterrupt:
        sys.stderr.write(f"edgewatch scenes {name}: interrupted\n")
        return EX_FAILED
    return code


def _exit_code(error: Exception) -> int:
    match error:
        case SceneRefused():
            return EX_REFUSED
        case SceneInvalid():
            return EX_INVALID
        case SceneUnavailable() | SceneError():
            return EX_UNAVAILABLE
    return EX_FAILED
