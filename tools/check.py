"""`edgewatch check`: the doctor, who looks at settings, box, cameras, broker and engine."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Clip
from edgewatch.tools.box import clock_finding, data_findings, newest_record_seconds, socket_finding
from edgewatch.tools.broker_probe import broker_finding
from edgewatch.tools.calibrating.checked import calibration_findings
from edgewatch.tools.camera_probe import CameraProbes
from edgewatch.tools.daemon_probe import daemon_finding, tenant_of
from edgewatch.tools.drill_findings import drill_findings
from edgewatch.tools.engine_findings import engine_findings, failure_finding
from edgewatch.tools.findings import Finding, all_well, document, print_findings, warn
from edgewatch.tools.notify_probe import notify_findings
from edgewatch.tools.overrides import override_findings
from edgewatch.tools.real_clip import real_clip
from edgewatch.tools.self_test import self_test
from edgewatch.tools.settings_review import refused, review
from edgewatch.tools.still import still_findings

DESCRIPTION = """\
Look at everything that edgewatch needs, before it needs it: reads the settings; tries the data
folder, its disk and records; opens every enabled camera until its first picture (all at once, 15 s
at most); connects to the broker, and to webhook and push server if there are; starts the engine and
has it judge drawn clips and one of the first camera that can be read, and batches of them for
speed. Prints a table: ok, warn or fail, and what to do about each that is not ok.

Changes nothing, publishes nothing, and may run beside the daemon. Run it as the daemon's user, for
another user's rights are others: sudo -u edgewatch edgewatch check
"""
EPILOG = """\
examples:
  edgewatch check                              the settings that `edgewatch run` would take
  edgewatch check --config new.toml            a change, before it is put in force
  edgewatch check --snapshot /tmp/stills       each camera's picture, to draw `ignore` by
  edgewatch check --json | jq '.checks[] | select(.status != "ok")'

--json prints {"schema": 1, "ok": bool, "checks": [{name, subject, status, detail, cure}]}.
Passwords that systemd hands over (LoadCredential=) are not seen here: see docs/troubleshooting.md.
exit codes: 0 nothing failed (warnings allowed), 1 something failed, 78 settings wrong.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    try:
        settings = load_settings(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        if options.json:
            print(json.dumps(document(refused(error, options.config))))
        return EX_CONFIG
    patience = Console(stderr=True)
    waiting = patience.status("looking at cameras, broker and engine ...")
    try:
        with waiting if patience.is_terminal else nullcontext():
            findings = examine(settings, options.snapshot)
    except KeyboardInterrupt:
        sys.stderr.write("edgewatch check: interrupted\n")
        return EX_FAILED
    if options.json:
        print(json.dumps(document(findings)))
    else:
        print_findings(findings, Console())
    return EX_OK if all_well(findings) else EX_FAILED


def examine(settings: Settings, snapshot: Path | None = None) -> list[Finding]:
    """Look at all there is; takes as long as the slowest camera, and then the engine.

    `snapshot`: folder for a still of each camera; None: none is taken.
    """
    data_dir = settings.service.data_dir
    daemon = tenant_of(data_dir)
    plans = settings.plans()
    cameras = CameraProbes(plans)
    findings = [
        *review(settings),
        *data_findings(data_dir),
        clock_finding(time.time(), newest_record_seconds(data_dir)),
        asyncio.run(daemon_finding(daemon, settings.service.control_socket)),
        *override_findings(data_dir, plans, time.time()),
        *drill_findings(data_dir, plans, time.time(), settings.drill.remind_after_days),
    ]
    if not daemon.is_daemon:
        findings.append(socket_finding(settings.service.control_socket))
    findings.append(asyncio.run(broker_finding(settings, daemon_runs=daemon.is_daemon)))
    findings += asyncio.run(notify_findings(settings))
    seen = cameras.findings(daemon_runs=daemon.is_daemon)
    findings += seen
    if snapshot is not None:
        findings += still_findings(plans, snapshot)
    if not plans:
        findings.append(
            warn("camera", "", "none is configured", "Add a [[cameras]] table to the settings.")
        )
    # Last, when nothing else takes the processor's time: its own is measured.
    findings += asyncio.run(_engine(settings, _first_clip(plans, seen)))
    return findings


def _first_clip(plans: Sequence[CameraPlan], seen: Sequence[Finding]) -> Clip | None:
    """Take a clip of the first camera that could be read without trouble."""
    for plan, found in zip(plans, seen, strict=True):
        if plan.enabled and found.status == "ok" and (clip := real_clip(plan)):
            return clip
    return None


async def _engine(settings: Settings, real: Clip | None) -> list[Finding]:
    plans = [plan for plan in settings.plans() if plan.enabled]
    kinds = [plan.clips for plan in plans] or [settings.clips]
    prompt = (plans[0] if plans else settings.plan_for(None)).prompt
    # No baselines: what is judged here must not become part of anybody's normal.
    try:
        engine = create_engine(engine_setup(settings, baseline_dir=None))
        test = await self_test(
            engine,
            kinds,
            SystemClock(),
            prompt=prompt,
            max_batch=settings.engine.max_batch,
            real=real,
        )
    except EngineFailed as error:
        return [failure_finding(settings.engine.kind, error)]
    return [
        *engine_findings(test, plans, settings.engine.threshold, kind=settings.engine.kind),
        *calibration_findings(engine, settings),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch check",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--snapshot",
        type=Path,
        metavar="DIR",
        help="write a still of each camera here, with a grid and its ignored regions",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
