"""`edgewatch scenes make`: still pictures of a text."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import edgewatch
from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.backends import create_scene_engine
from edgewatch.pipeline.scenes.child.engine import ChildEngine
from edgewatch.pipeline.scenes.engine import SceneEngine, SceneImage
from edgewatch.pipeline.scenes.models.licences import licence_of
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.still_file import WrittenStill, write_still
from edgewatch.pipeline.scenes.validation import refuse_alike, refuse_drift, refuse_unusable
from edgewatch.tools.scene_commands.make_progress import MakeProgress, OnPart
from edgewatch.tools.scene_commands.setup import add_settings_options, scene_setup

MakeEngine = Callable[[SceneSetup, OnPart], SceneEngine]

EX_INVALID = 3
MOST_PICTURES = 1000
LONGEST_PROMPT = 4000
SIZE = (1344, 768)
"""Near 16:9, both sides multiples of 16, within what the models were trained on."""
_IN_CHILD = ("diffusers", "tensorrt")
_MODELLED = ("diffusers", "tensorrt", "http")

DESCRIPTION = """\
Make still pictures of a text. Each is examined before it is written: one that is black, flat,
noise or NaN is refused and not kept. Beside each PNG, which is marked as synthetic, lies a JSON
file that says how it was made; the prompt stands in neither, only its hash.
"""
EPILOG = """\
examples:
  edgewatch scenes make "a rainy street at night" --backend procedural --out stills/
  edgewatch scenes make "a factory yard, fisheye camera" --seed 7 --count 4 --out stills/
  edgewatch scenes make "a motorway" --model sdxl --size 1024x1024 --precision fp16 --out stills/

The same seed, model, precision and size give the same picture on the same machine; picture N of
--count has the seed --seed + N. Diffusers and TensorRT run in a process of their own, which yields
to the judge and gives all memory back at its end.

exit codes: 0 all were made, 2 refused (memory, licence, size: what would fit is said), 3 one or
more were no pictures to be used, 4 backend, package or model missing, 1 anything else, 78 settings
wrong
"""


@dataclass(frozen=True, slots=True)
class _Order:
    prompt: str
    seeds: range
    size: tuple[int, int]
    out: Path
    check_content: bool
    against_bf16: bool


def main(argv: Sequence[str] | None = None, *, make_engine: MakeEngine | None = None) -> int:
    """Run the command and return its exit code. Raises ConfigError, SceneError, OSError.

    `make_engine` stands in for the engines.
    """
    options = _parser().parse_args(argv)
    setup = scene_setup(load_settings(options.config), options)
    order = _order(options)
    order.out.mkdir(parents=True, exist_ok=True)
    made, refused = _make(order, setup, make_engine or _engine)
    if options.json:
        document = {"made": [dict(one.record) for one in made], "refused": refused}
        print(json.dumps(document, default=str))
    else:
        for one in made:
            print(one.picture)
    for text in refused:
        sys.stderr.write(f"edgewatch scenes make: {text}\n")
    return EX_INVALID if refused else EX_OK


def _make(
    order: _Order, setup: SceneSetup, make_engine: MakeEngine
) -> tuple[list[WrittenStill], list[str]]:
    twins = _twins(order, setup, make_engine) if order.against_bf16 else {}
    made: list[WrittenStill] = []
    refused: list[str] = []
    last: SceneImage | None = None
    with (
        MakeProgress(len(order.seeds)) as progress,
        closing(make_engine(setup, progress.on_part)) as engine,
    ):
        engine.start()
        for seed in order.seeds:
            began = time.monotonic()
            try:
                picture = engine.generate(order.prompt, seed, order.size)
                seconds = round(time.monotonic() - began, 3)
                checks = _checked(order, picture, last, seed, twins.get(seed))
                record = _record(order, setup, engine, seed, seconds) | checks
                made.append(write_still(picture, order.out, record))
            except SceneInvalid as error:
                refused.append(str(error))
                continue
            finally:
                progress.made(seed)
            last = picture
    return made, refused


def _twins(order: _Order, setup: SceneSetup, make_engine: MakeEngine) -> dict[int, SceneImage]:
    """Make the same pictures in bf16 first: one engine at a time is loaded."""
    other = replace(setup, precision="bf16")
    with (
        MakeProgress(len(order.seeds), "bf16 twins") as progress,
        closing(make_engine(other, progress.on_part)) as engine,
    ):
        engine.start()
        twins = {}
        for seed in order.seeds:
            twins[seed] = engine.generate(order.prompt, seed, order.size)
            progress.made(seed)
    return twins


def _checked(
    order: _Order,
    picture: SceneImage,
    last: SceneImage | None,
    seed: int,
    twin: SceneImage | None,
) -> dict[str, Any]:
    """Return what examining a picture came to. Raises SceneInvalid."""
    what = f"the picture of seed {seed}"
    checks: dict[str, Any] = {"examined": None}
    if order.check_content:
        findings = refuse_unusable(picture, what)
        if last is not None:
            refuse_alike([last, picture], "seeds")
        checks["examined"] = asdict(findings) | {"faults": []}
    if twin is not None:
        psnr_db, ssim = refuse_drift(picture, twin, what=what)
        checks["bf16_twin"] = {"psnr_db": round(psnr_db, 2), "ssim": round(ssim, 4)}
    return checks


def _record(
    order: _Order, setup: SceneSetup, engine: SceneEngine, seed: int, seconds: float
) -> dict[str, Any]:
    modelled = setup.backend in _MODELLED
    facts = getattr(engine, "facts", None)
    return {
        "prompt_sha256": hashlib.sha256(order.prompt.encode()).hexdigest(),
        "seed": seed,
        "engine": engine.name,
        "backend": setup.backend,
        "model": setup.model if modelled else None,
        "model_licence": licence_of(setup.chosen_model).key if modelled else None,
        "precision": setup.chosen_precision if modelled else None,
        "steps": setup.chosen_steps if modelled else None,
        "generator_version": edgewatch.__version__,
        "seconds": seconds,
        "made_by": dict(facts) if isinstance(facts, dict) else {},
    }


def _engine(setup: SceneSetup, on_part: OnPart) -> SceneEngine:
    """Return the engine, in a child where it computes on this machine with large networks."""
    if setup.backend in _IN_CHILD:
        return ChildEngine(setup, on_part=on_part)
    return create_scene_engine(setup)


def _order(options: argparse.Namespace) -> _Order:
    if not options.prompt.strip() or len(options.prompt) > LONGEST_PROMPT:
        raise SceneRefused(f"the prompt must have 1 to {LONGEST_PROMPT} characters")
    if not 1 <= options.count <= MOST_PICTURES:
        raise SceneRefused(f"--count must be 1 to {MOST_PICTURES}, not {options.count}")
    if options.seed < 0 or options.seed + options.count > 2**63:
        raise SceneRefused(f"--seed must be 0 or more, and less than 2**63, not {options.seed}")
    return _Order(
        options.prompt,
        range(options.seed, options.seed + options.count),
        options.size,
        options.out,
        check_content=not options.no_content_check,
        against_bf16=options.against_bf16,
    )


def picture_size(text: str) -> tuple[int, int]:
    """Return width and height of "1344x768". Raises argparse.ArgumentTypeError."""
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no size: write it as 1344x768')
    return int(found[1]), int(found[2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes make",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", help="what the picture shows")
    parser.add_argument("--out", type=Path, default=Path("stills"), help="folder; made if absent")
    parser.add_argument("--seed", type=int, default=0, help="of the first picture (0)")
    parser.add_argument("--count", type=int, default=1, help="how many, each with the next seed")
    parser.add_argument(
        "--size", type=picture_size, default=SIZE, metavar="WxH", help="in pixels (1344x768)"
    )
    add_settings_options(parser)
    parser.add_argument(
        "--against-bf16",
        action="store_true",
        help="make each in bf16 too, and refuse what drifted too far from that",
    )
    parser.add_argument(
        "--no-content-check",
        action="store_true",
        help="keep what is flat or noise too (never NaN): for trials with untrained models",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser
