"""`edgewatch replay`: pushes recordings through the same pipeline as live cameras, losslessly."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_TEMPFAIL
from edgewatch.daemon.lock import DataLock
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.errors import EngineFailed, StoreError
from edgewatch.pipeline.playlist import recording_feed
from edgewatch.tools.compare import Side, Work, compare
from edgewatch.tools.compare_report import write_comparison
from edgewatch.tools.compare_table import print_comparison
from edgewatch.tools.comparison import document
from edgewatch.tools.labels import Labels, read_labels
from edgewatch.tools.playback import Judged, Labelled, exit_code, play, replay_of
from edgewatch.tools.progress import ReplayProgress
from edgewatch.tools.recordings import Found, Recording, find_recordings
from edgewatch.tools.report import prepare_folder, summary, write_report
from edgewatch.tools.table import print_table

DESCRIPTION = """\
Push recordings (files, folders, globs) through the same pipeline as live cameras. Nothing is
dropped, however slow the engine. By default nothing is published either.
"""
EPILOG = """\
examples:
  edgewatch replay drive.mp4                         what would have been seen, as a table
  edgewatch replay rides/ --labels rides/labels.csv  with accuracy, recall, AUC
  edgewatch replay rides/ --report out               out/report.html, verdicts.jsonl, …
  edgewatch replay drive.mp4 --camera front          with the settings of the camera "front"
  edgewatch replay rides/ --settings other.toml      under both settings, side by side
  edgewatch replay drive.mp4 --publish               events go to <base>/replay/… on the broker
  edgewatch replay drive.mp4 --to /run/edgewatch/control.sock
                                                     judged by the daemon's loaded engine

Labels: a CSV with columns file,label and optionally camera, anomaly_start_s, anomaly_end_s; or
file names that begin with Anom_ or Norm_.
exit codes: 0 all judged, 1 some file could not be read (the others are), 78 settings wrong.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.settings and (options.to or options.publish):
        parser.error("--settings compares here and in silence: leave out --to and --publish")
    configure_logs(default="error", stream=sys.stderr)
    console = Console(stderr=options.json)
    try:
        settings = load_settings(options.config)
        plan = settings.plan_for(options.camera)
        labels = read_labels(options.labels) if options.labels else Labels()
        if options.report:
            prepare_folder(options.report)
        found = find_recordings(options.paths)
        known = {one.camera: labels.for_file(one.path) for one in found.recordings}
        if options.labels and found.recordings and not any(known.values()):
            sys.stderr.write(f"{options.labels}: none of its rows names a recording given here\n")
        if options.settings:
            return _compare(options, settings, plan, found, known)
        started_seconds = time.monotonic()
        judged = _judge(options, settings, plan, found)
        replay = replay_of(settings, plan, found, known, judged, time.monotonic() - started_seconds)
        page = write_report(replay, options.report) if options.report else None
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except (EngineFailed, StoreError) as error:
        sys.stderr.write(f"edgewatch replay: {error}\n")
        return EX_TEMPFAIL
    if options.json:
        print(json.dumps(summary(replay), allow_nan=False))
    else:
        print_table(replay, console)
        if page:
            console.print(f"report: {page}", highlight=False, soft_wrap=True)
    return exit_code(replay, judged)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch replay",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, folder or glob")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    parser.add_argument("--camera", metavar="NAME", help="judge as this configured camera would be")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="what the recordings show")
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="max|FACTOR",
        default=None,
        help="max (the default): as fast as they can be judged; 1: real time",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write the report's files here")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="OTHER",
        help="judge under these settings as well, and show both side by side",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--publish", action="store_true", help="publish under <base>/replay/ on the broker"
    )
    where.add_argument(
        "--to", type=Path, metavar="SOCKET", help="hand over to the daemon behind this socket"
    )
    return parser


def _compare(
    options: argparse.Namespace,
    settings: Settings,
    plan: CameraPlan,
    found: Found,
    labels: Labelled,
) -> int:
    """Judge under both settings. Raises ConfigError, EngineFailed, StoreError."""
    other = load_settings(options.settings)
    sides = (
        Side(str(settings.source or "built-in defaults"), settings, plan),
        Side(str(options.settings), other, other.plan_for(options.camera)),
    )
    comparison, *judged = compare(
        *sides, Work(found, labels, options.speed, _progress_is_shown(options))
    )
    page = write_comparison(comparison, options.report) if options.report else None
    if options.json:
        print(json.dumps(document(comparison), allow_nan=False))
    else:
        console = Console()
        print_comparison(comparison, console)
        if page:
            console.print(f"report: {page}", highlight=False, soft_wrap=True)
    replays = comparison.first, comparison.second
    return max(exit_code(replay, one) for replay, one in zip(replays, judged, strict=True))


def _progress_is_shown(options: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not options.json


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is neither max nor a positive number")
    return factor


def _judge(
    options: argparse.Namespace, settings: Settings, plan: CameraPlan, found: Found
) -> Judged:
    if not found.recordings:
        return Judged({}, settings.engine.kind, 0)
    if options.to:
        from edgewatch.tools.hand_over import hand_over  # aiohttp: only who asks a daemon pays

        recorded = asyncio.run(
            hand_over(options.to, found.recordings, camera=options.camera, speed=options.speed)
        )
        engine = next((v.engine for one in recorded for v in one.verdicts), "daemon")
        return Judged({one.camera: one for one in recorded}, engine, 0)
    with ExitStack() as stack:
        if options.publish:
            stack.enter_context(DataLock(settings.service.data_dir, "replay"))
        return asyncio.run(_judge_here(settings, plan, found.recordings, options))


async def _judge_here(
    settings: Settings,
    plan: CameraPlan,
    recordings: Sequence[Recording],
    options: argparse.Namespace,
) -> Judged:
    """Judge in this process. Raises EngineFailed, StoreError."""
    return await play(
        settings,
        create_engine(engine_setup(settings, baseline_dir=None)),
        [recording_feed(plan, one.path, one.camera, options.speed) for one in recordings],
        store_path=settings.service.data_dir / "replay.db" if options.publish else None,
        progress=ReplayProgress(len(recordings)) if _progress_is_shown(options) else None,
    )


if __name__ == "__main__":
    sys.exit(main())
