"""`edgewatch commission`: what would be seen on a camera and what not, without a single label."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK, EX_TEMPFAIL
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.errors import CameraError, EngineError
from edgewatch.pipeline.scenes.incidents.catalogue import KINDS
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.commissioning.normal import Normal, read_recordings, watch
from edgewatch.tools.commissioning.outcome import outcome_of
from edgewatch.tools.commissioning.telling import (
    Commissioned,
    document,
    print_commissioned,
    write_commissioned,
)
from edgewatch.tools.commissioning.trial import PLACES, Trial, kinds_for, plan_trials
from edgewatch.tools.commissioning.trying import Judged, Trying
from edgewatch.tools.one_bar import OneBar
from edgewatch.tools.recordings import find_recordings
from edgewatch.tools.report import prepare_folder

DESCRIPTION = """\
Draw incidents of every kind, size and place into normal footage of a camera, judge them with the
engine of the settings, and say what would be seen on this camera and what not, how often harmless
happenings alarm, and which threshold does best. Nothing is published, nothing learnt is kept, and
no incident has to be waited for.

The footage must be normal: recordings that you name, else the camera itself is watched for
--minutes (a camera that is a file is read as it is).
"""
EPILOG = """\
examples:
  edgewatch commission --camera front                          watch it for two minutes, then try
  edgewatch commission --camera front --footage day.mp4 --report out/
  edgewatch commission --camera front --kind smoke --kind fall --places 6
  edgewatch commission --camera front --false-alarms-per-day 5 --json

A camera's own faults (covered, moved, frozen) are tried on what tells its health. The incidents
are drawn: what is missed here will most likely be missed, what is seen here will not surely be.
exit codes: 0 done, 1 the camera or its footage cannot be read, 75 the engine could not start or
failed, 78 settings wrong. See docs/commission.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    configure_logs(default="error", stream=sys.stderr)
    try:
        return _run(options)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except EngineError as error:
        sys.stderr.write(f"edgewatch commission: {error}\n")
        return EX_TEMPFAIL
    except (CameraError, OSError) as error:
        sys.stderr.write(f"edgewatch commission: {error}\n")
        return EX_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("edgewatch commission: interrupted; nothing was written\n")
        return EX_FAILED


def _run(options: argparse.Namespace) -> int:
    began_seconds = time.monotonic()
    settings = load_settings(options.config)
    plan = _plan(settings, options.camera)
    if options.report:
        prepare_folder(options.report)
    trials = _trials(plan, options)
    shown = not options.json and sys.stderr.isatty()
    normal = _normal(plan, options, shown=shown)
    judged = asyncio.run(_judged(settings, plan, normal, trials, shown=shown))
    outcome = outcome_of(
        judged,
        rules_of(plan),
        threshold=plan.threshold,
        most_per_day=options.false_alarms_per_day,
    )
    found = Commissioned(
        plan.name,
        normal.source,
        normal.seconds,
        judged,
        outcome,
        time.monotonic() - began_seconds,
        time.time(),
    )
    page = write_commissioned(found, options.report) if options.report else None
    if options.json:
        print(json.dumps(document(found), allow_nan=False))
        return EX_OK
    console = Console(highlight=False)
    print_commissioned(found, console)
    if normal.cut:
        console.print("Only the first part of the footage was taken: more does not fit in memory.")
    if page:
        console.print(f"report: {page}", soft_wrap=True)
    return EX_OK


async def _judged(
    settings: Settings, plan: CameraPlan, normal: Normal, trials: Sequence[Trial], *, shown: bool
) -> Judged:
    engine = create_engine(engine_setup(settings, baseline_dir=None))
    await engine.start()
    try:
        trying = Trying(engine, plan, normal, baseline=_baseline(settings, plan))
        total = len(normal.stretches) + len(trials)
        with OneBar(f"trying {plan.name}", total, shown=shown) as bar:

            def done(what: str) -> None:
                bar.step(what)
                bar.advance()

            return await trying.run(trials, done)
    finally:
        await engine.close()


def _baseline(settings: Settings, plan: CameraPlan) -> bytes | None:
    """Return what the built-in engine has saved of the camera, if it was watched before."""
    if settings.engine.kind != "builtin":
        return None
    try:
        return (settings.service.data_dir / "baseline" / f"{plan.name}.npz").read_bytes()
    except OSError:
        return None


def _normal(plan: CameraPlan, options: argparse.Namespace, *, shown: bool) -> Normal:
    """Read the normal footage. Raises ConfigError, CameraError."""
    try:
        if options.footage:
            found = find_recordings(options.footage)
            if found.failed:
                wrong = "\n".join(f"--footage {one.name}: {one.reason}" for one in found.failed)
                raise ConfigError(wrong)
            return read_recordings(plan, [str(one.path.absolute()) for one in found.recordings])
        seconds = 60.0 * options.minutes
        with OneBar(f"watching {plan.name}, seconds", round(seconds), shown=shown) as bar:
            watched = 0

            def on_seconds(now_seconds: float) -> None:
                nonlocal watched
                bar.advance(max(0, round(now_seconds) - watched))
                watched = max(watched, round(now_seconds))

            return watch(plan, seconds, on_seconds)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _trials(plan: CameraPlan, options: argparse.Namespace) -> tuple[Trial, ...]:
    kinds = kinds_for(plan.scene, options.kind)
    if not kinds:
        raise ConfigError(
            f"--kind {', '.join(options.kind)}: makes no sense on a {plan.scene} camera; there are "
            f"{', '.join(kinds_for(plan.scene))}"
        )
    hidden = [name for name, foot in PLACES.items() if _is_hidden(plan, foot)]
    try:
        return plan_trials(kinds, places_each=options.places, seed=options.seed, hidden=hidden)
    except ValueError as error:
        raise ConfigError(f"{plan.name}: {error}; see its `ignore`") from error


def _is_hidden(plan: CameraPlan, foot: tuple[float, float]) -> bool:
    return any(
        cv2.pointPolygonTest(np.array(region, np.float32), foot, measureDist=False) >= 0
        for region in plan.ignore
    )


def _plan(settings: Settings, name: str | None) -> CameraPlan:
    plans = {plan.name: plan for plan in settings.plans()}
    if name in plans:
        return plans[name]
    known = ", ".join(plans) or "none: add one under [[cameras]]"
    if name is None and len(plans) == 1:
        return next(iter(plans.values()))
    raise ConfigError(
        f"--camera: name one of the configured cameras ({known})"
        if name is None
        else f"--camera {name}: no such camera; there are {known}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch commission",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--camera", metavar="NAME", help="a configured camera")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings")
    parser.add_argument(
        "--footage",
        nargs="+",
        metavar="PATH",
        help="normal recordings of this camera (files, folders, globs)",
    )
    parser.add_argument(
        "--minutes",
        type=_positive,
        default=2.0,
        metavar="M",
        help="watch a live camera for so long (2)",
    )
    parser.add_argument(
        "--kind", action="append", default=[], choices=KINDS, help="try this kind; again for more"
    )
    parser.add_argument(
        "--places",
        type=int,
        default=3,
        choices=range(1, len(PLACES) + 1),
        metavar="N",
        help=f"places to try each kind and size at, 1 to {len(PLACES)} (3)",
    )
    parser.add_argument(
        "--false-alarms-per-day",
        type=_not_negative,
        default=1.0,
        metavar="N",
        help="most that the proposed threshold may have on the normal footage (1)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything drawn (1)")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.html, trials.csv, summary.json"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0.2 <= number <= 60:
        raise argparse.ArgumentTypeError("is not between 0.2 and 60 minutes")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("is no number of alarms")
    return number


if __name__ == "__main__":
    sys.exit(main())
