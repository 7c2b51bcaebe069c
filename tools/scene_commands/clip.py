"""`edgewatch scenes clip`: videos with an incident or its harmless twin, and their truth."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.clip_file import WrittenClip, write_clip
from edgewatch.pipeline.scenes.clips.labels import check_index, write_index
from edgewatch.pipeline.scenes.drawn.table import SCENES
from edgewatch.pipeline.scenes.moving.light import LIGHTS
from edgewatch.pipeline.scenes.moving.path import MOTIONS
from edgewatch.pipeline.scenes.moving.weather import WEATHERS
from edgewatch.tools.one_bar import OneBar
from edgewatch.tools.scene_commands.clip_orders import ALL_KINDS, Orders, read_orders

BACKEND = "procedural"
_DESCRIPTION = """\
Make clips: a drawn scene, or a still picture that is set in motion, into which an incident is put
at a known place and time, or its harmless twin, which looks alike and is no incident. Beside each
ID.mp4 stand ID.clip.json (what it is, and the recipe to make it again) and ID.truth.jsonl (what
every picture shows, with masks); INDEX.csv has the labels for `edgewatch evaluate` and `replay`.
Without --incident, one that the seed chooses, and its twin.
"""
_EPILOG = """\
incidents: {kinds}
  none: nothing is put in; twin:KIND: the harmless counterpart of a kind

examples:
  edgewatch scenes clip --seed 7 --out clips/
  edgewatch scenes clip --scene yard --incident debris --weather rain --out clips/
  edgewatch scenes clip --still gate.jpg --motion sway --incident smoke --at 2.5 --out clips/
  edgewatch scenes clip --set --count 3 --seed 7 --out set/ && edgewatch evaluate set/

Clips that are there already are kept: a set that was interrupted goes on when the same command is
given again. Of painted stills (scenes make) and photographs clips serve drills only, as nobody
knows what else is to be seen in them; drawn ones may also be used to measure. docs/scenes.md.

exit codes: 0 all clips are there, 2 refused (asked wrongly, or a licence forbids the still),
3 the still is no picture, 1 anything else, 78 settings wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Raises ConfigError, SceneError, OSError."""
    options = _parser().parse_args(argv)
    if options.backend != BACKEND:
        raise SceneRefused(
            f"--backend {options.backend}: only {BACKEND} makes video; let {options.backend} paint "
            "a still with `edgewatch scenes make`, then give it as --still"
        )
    dev_licence = None
    if options.still is not None:
        dev_licence = load_settings(options.config).scenes.dev_commercial_licence
    orders = read_orders(options, dev_licence)
    options.out.mkdir(parents=True, exist_ok=True)
    check_index(options.out)
    clips = _write(orders, options)
    index = write_index(options.out)
    if options.json:
        document = {
            "folder": str(options.out),
            "index": index.name,
            "clips": [_told(clip) for clip in clips],
        }
        print(json.dumps(document, allow_nan=False))
    else:
        _print(clips, options.out, index)
    return EX_OK


def _write(orders: Orders, options: argparse.Namespace) -> list[WrittenClip]:
    pictures = sum(recipe.frame_count for recipe in orders.recipes)
    clips = []
    shown = sys.stderr.isatty() and not options.json
    with OneBar("pictures", pictures, shown=shown) as bar:
        for number, recipe in enumerate(orders.recipes, start=1):
            bar.step(f"clip {number} of {len(orders.recipes)}: {recipe.clip_id}")
            clips.append(
                write_clip(
                    recipe,
                    options.out,
                    still=orders.still,
                    origin=orders.origin,
                    on_frame=bar.advance,
                )
            )
    return clips


def _told(clip: WrittenClip) -> dict[str, Any]:
    record, recipe = clip.record, clip.record.recipe
    return {
        "file": clip.video.name,
        "id": record.clip_id,
        "label": record.label,
        "kind": record.kind,
        "twin_of": recipe.incident if recipe.twin else None,
        "scene": recipe.scene or "still",
        "camera": recipe.camera,
        "seed": recipe.seed,
        "anomaly_start_s": None if record.t0_frame is None else record.t0_frame / recipe.fps,
        "anomaly_end_s": None if record.t_end_frame is None else record.t_end_frame / recipe.fps,
        "usable_for": list(record.usable_for),
        "here_already": clip.known,
    }


def _print(clips: Sequence[WrittenClip], folder: Path, index: Path) -> None:
    for clip in clips:
        told = _told(clip)
        what = told["kind"] or (f"twin of {told['twin_of']}" if told["twin_of"] else "nothing")
        when = ""
        if told["kind"]:
            when = f", {told['anomaly_start_s']:.2f} to {told['anomaly_end_s']:.2f} s"
        again = " (here already)" if clip.known else ""
        print(f"{folder / clip.video.name}  {told['scene']}: {what}{when}{again}")
    print(f"{len(clips)} clips, labels in {index}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes clip",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(kinds=", ".join(ALL_KINDS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the clips")
    add("--backend", default=BACKEND, metavar="NAME", help=f"what draws; only {BACKEND}")
    add("--seed", type=_whole, default=0, metavar="N", help="of all that is random; default 0")
    add("--scene", choices=SCENES, help="what is drawn; default drive (--set: all of them)")
    add("--still", type=Path, metavar="FILE", help="a PNG or JPEG to be set in motion instead")
    add("--incident", metavar="KIND", help="KIND, none, or twin:KIND")
    add("--at", type=_positive, metavar="SECONDS", help="when it begins; default: by the seed")
    add("--place", type=_place, metavar="X,Y", help="where it stands, parts of width and height")
    add("--tall", type=_part, metavar="H", help="how tall it is, in parts of the height")
    add(
        "--count",
        type=_count,
        default=1,
        metavar="N",
        help="so many seeds from --seed on; with --set: pairs of each kind and scene",
    )
    add("--set", action="store_true", help="a test set: every kind in every scene, with twins")
    add("--size", type=_size, default=(640, 360), metavar="WxH", help="default 640x360")
    add("--fps", type=_positive, default=15.0, metavar="N", help="default 15")
    add("--seconds", type=_positive, metavar="N", help="of each clip; default 5, with --set 10")
    add("--motion", choices=MOTIONS, help="of the camera; default of a still: sway")
    add("--weather", choices=WEATHERS, help="default clear")
    add("--light", choices=LIGHTS, help="default day")
    add("--noise", type=_noise, default=1.6, metavar="SIGMA", help="of the sensor, 8-bit steps")
    add("--horizon", type=_part, default=0.45, metavar="Y", help="of a still, parts of the height")
    add("--config", type=Path, metavar="FILE", help="settings file")
    add("--json", action="store_true", help="one JSON document on standard output")
    return parser


def _number(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {low:g} to {high:g}")
    return value


def _positive(text: str) -> float:
    return _number(text, 0.001, 86_400)


def _part(text: str) -> float:
    return _number(text, 0.02, 0.98)


def _noise(text: str) -> float:
    return _number(text, 0, 40)


def _whole(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**62):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2^62")
    return int(text)


def _count(text: str) -> int:
    value = _whole(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 10000")
    return value


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 640x360")
    return int(width), int(height)


def _place(text: str) -> tuple[float, float]:
    x, comma, y = text.partition(",")
    if not comma:
        raise argparse.ArgumentTypeError(f"{text!r} is no place such as 0.5,0.75")
    return _part(x), _part(y)
