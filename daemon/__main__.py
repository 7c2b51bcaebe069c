"""The command line `edgewatch`: which command runs, and how its end becomes an exit code."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

import edgewatch
from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.allocator import bound_heaps
from edgewatch.daemon.exits import EX_CONFIG, EX_OK, EX_SOFTWARE, EX_TEMPFAIL
from edgewatch.daemon.logs import configure_logs, let_go_of_output

COMMANDS = {
    "run": "watch the configured cameras until stopped",
    "check": "examine settings, cameras, broker and engine, with a cure for what is wrong",
    "replay": "push recordings through the same pipeline as live cameras",
    "events": "list or follow the events on record",
    "why": "explain a moment of a camera: was it watched, which scores, which event",
    "tune": "what each threshold would have meant, from recorded scores and feedback",
    "feedback": "say of an event whether it was rightly one",
    "verify": "judge the evidence of an event again: does its score stand?",
    "coverage": "for every second of each camera: judged, or why not",
    "evaluate": "how good engines are on labelled recordings, side by side",
    "calibrate": "make an engine's scores probabilities, and choose its threshold",
    "quantize": "make a smaller checkpoint of a model, and see what it lost",
    "drill": "rehearse the alarm: an incident into a live camera's clips, through to the broker",
    "commission": "what would be seen on a camera and what not, without labels; its threshold",
    "scenes": "synthetic scenes with known truth: stills, clips, and what makes them",
    "verify-install": "versions that do not go together here, each with its cure",
}

USAGE = """\
usage: edgewatch COMMAND [options]

Watches cameras and says, in time, Normal or Anomaly.

commands:
{commands}

`edgewatch COMMAND --help` tells more. A first look, without any camera:
  edgewatch replay samples/ --report out     judge the sample recordings, write out/report.html
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` without the program's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        lines = "\n".join(f"  {name:<14} {does}" for name, does in COMMANDS.items())
        print(USAGE.format(commands=lines), end="")  # noqa: T201 - the help itself
        return EX_OK
    if command == "--version":
        print(f"edgewatch {edgewatch.__version__}")  # noqa: T201 - the version itself
        return EX_OK
    if command == "run":
        return run(arguments[1:])
    if command in COMMANDS:
        # A command's imports are its own: `events` must not load an engine.
        tool = importlib.import_module(f"edgewatch.tools.{command.replace('-', '_')}")
        code: int = tool.main(arguments[1:])
        return code
    known = ", ".join(COMMANDS)
    sys.stderr.write(f"edgewatch: no command {command!r}; there are {known}\n")
    return 2


def run(argv: Sequence[str]) -> int:
    """Run the daemon; see contract: 0 stopped, 78 settings, 70 fault, 75 could not start."""
    parser = argparse.ArgumentParser(
        prog="edgewatch run",
        description="Watch the configured cameras until SIGTERM or Ctrl-C. SIGHUP reads cameras "
        "and thresholds anew without dropping the engine.",
        epilog="exit codes: 0 stopped, 78 settings wrong, 75 engine or broker could not start "
        "(try again), 70 internal fault. Log level by EDGEWATCH_LOG (debug, info, warning).",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings; default /etc/edgewatch/edgewatch.toml, else ./edgewatch.toml, else the "
        "built-in defaults",
    )
    options = parser.parse_args(argv)
    configure_logs()
    log = structlog.get_logger(__name__)
    reload = partial(load_settings, options.config)
    try:
        settings = reload()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    try:
        bound_heaps()
        return asyncio.run(_serve(settings, reload))
    except Exception:  # whatever it is, systemd must see a fault and the journal its traceback
        log.exception("internal fault")
        return EX_SOFTWARE
    finally:
        let_go_of_output()


async def _serve(settings: Settings, reload: partial[Settings]) -> int:
    from edgewatch.daemon.notify import Notifier
    from edgewatch.daemon.service import Service
    from edgewatch.pipeline.errors import BrokerUnavailable, EngineFailed, StoreError

    log = structlog.get_logger(__name__)
    service = Service(settings, reload=reload, notifier=Notifier.from_environment(os.environ))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    loop.add_signal_handler(signal.SIGHUP, service.reload)
    try:
        await service.run()
    except (BrokerUnavailable, EngineFailed, StoreError) as error:
        log.error("could not start", reason=str(error))
        return EX_TEMPFAIL
    return EX_OK


if __name__ == "__main__":
    sys.exit(main())
