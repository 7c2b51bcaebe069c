"""`edgewatch coverage`: for every second of each camera, whether it was judged, or why not."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from edgewatch.config.problems import nearest
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK
from edgewatch.pipeline.messages import coverage_payload, iso_utc
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName, Coverage
from edgewatch.tools.account import Account, in_seconds, percentage, read_account
from edgewatch.tools.coverage_view import print_view, still_open
from edgewatch.tools.record_reading import exit_code_of
from edgewatch.tools.times import HELP, joined, parse_time

DAY_SECONDS = 86_400.0
COLUMNS = ("camera", "coverage", "seconds", "percent")


def main(argv: Sequence[str] | None = None) -> int:
    """Tell coverage; 0, 1 for an unknown camera or records that cannot be read, 78 for settings."""
    now_seconds = time.time()
    parser = _parser(now_seconds)
    options = parser.parse_args(joined(sys.argv[1:] if argv is None else argv))
    if options.since >= options.until:
        parser.error("--since is not before --until")
    if options.since >= now_seconds:
        parser.error("--since lies in the future")
    return exit_code_of(
        "coverage",
        lambda: _run(options, load_settings(options.config), round(now_seconds * 1000)),
    )


def _parser(now_seconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch coverage",
        description="Tell for each camera how much of its time was judged, and of the rest why "
        "not: seconds by reason, which add up to the time asked for, a strip of that time, and "
        "the longest gaps. Reads the records of the daemon, which may run or not.",
        epilog=f"reasons: {', '.join(get_args(Coverage)[1:])}; docs/coverage.md explains each. "
        "Times that are not settled yet (the newest seconds) are left out and told. "
        "exit codes: 0, 1 no such camera or the records cannot be read, 78 settings wrong",
    )

    def moment(text: str) -> float:
        try:
            return parse_time(text, now_seconds)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument("--camera", metavar="NAME", help="this camera alone")
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        default=now_seconds - DAY_SECONDS,
        help=f"{HELP}; default: 24 hours ago",
    )
    parser.add_argument(
        "--until", metavar="TIME", type=moment, default=now_seconds, help="default: now"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings to find the records")
    return parser


def _run(options: argparse.Namespace, settings: Settings, now_ms: int) -> int:
    path = settings.service.data_dir / "edgewatch.db"
    configured = [CameraName(camera.name) for camera in settings.cameras]
    if not path.exists():
        sys.stderr.write(
            f"no coverage: there is no {path} yet. `edgewatch run` makes it; if it runs with "
            "other settings, name them with --config\n"
        )
        if options.camera is None or options.camera in configured:
            _print_accounts([], options.json)
            return EX_OK
        return _say_unknown(options.camera, configured)
    since_ms, until_ms = round(options.since * 1000), min(now_ms, round(options.until * 1000))
    with open_readonly(path) as records:
        known = list(dict.fromkeys([*configured, *records.coverage_cameras()]))
        if options.camera is not None and options.camera not in known:
            return _say_unknown(options.camera, known)
        clips = [settings.clips, *(plan.clips for plan in settings.plans())]
        window_ms = round(1000 * max(one.seconds for one in clips))
        accounts = [
            read_account(records, camera, since_ms, until_ms, now_ms, window_ms)
            for camera in known
            if options.camera in (None, camera)
        ]
    kept_seconds = settings.service.verdict_days * DAY_SECONDS
    if since_ms < now_ms - kept_seconds * 1000:
        sys.stderr.write(
            f"records older than {settings.service.verdict_days} days are deleted "
            "(service.verdict_days): time before counts as not_running\n"
        )
    # A camera that was removed from the settings, and not watched in all this time
    shown = [
        one
        for one in accounts
        if one.camera in configured or options.camera or set(one.totals_ms) - {"not_running"}
    ]
    _print_accounts(shown, options.json)
    return EX_OK


def _say_unknown(camera: str, known: Iterable[str]) -> int:
    cure = nearest(camera, known) if known else "None is known yet."
    sys.stderr.write(f'edgewatch coverage: there is no camera "{camera}". {cure}\n')
    return EX_FAILED


def _print_accounts(accounts: Sequence[Account], as_json: bool) -> None:
    if as_json:
        document = {"schema": 1, "cameras": [_document(one) for one in accounts]}
        print(json.dumps(document, indent=2))
    elif sys.stdout.isatty():
        print_view(accounts, Console(highlight=False))
    else:
        print("\t".join(COLUMNS))
        for one in accounts:
            for coverage, length_ms in one.sums():
                share = percentage(length_ms, one.window_ms)
                print("\t".join((one.camera, coverage, in_seconds(length_ms), share)))
            if one.open_ms:
                sys.stderr.write(f"{one.camera}: {still_open(one)}\n")


def _document(one: Account) -> dict[str, Any]:
    """The camera's coverage as MQTT has it, and what a person sees on a terminal."""
    return {
        "camera": one.camera,
        **coverage_payload(one.totals_ms, end_seconds=one.until_ms / 1000),
        "not_settled_yet": one.open_ms / 1000,
        "longest_gaps": [
            {
                "start": iso_utc(start_ms / 1000),
                "end": iso_utc(end_ms / 1000),
                "seconds": (end_ms - start_ms) / 1000,
                "reason": reason,
            }
            for start_ms, end_ms, reason in one.gaps()
        ],
    }
