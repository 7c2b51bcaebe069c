"""`edgewatch verify-install`: do the versions that are installed here go together?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.tools.findings import Finding, all_well, document, print_findings
from edgewatch.tools.installation.facts import Facts
from edgewatch.tools.installation.gathering import gather
from edgewatch.tools.installation.rules_core import core_findings
from edgewatch.tools.installation.rules_tensorrt import tensorrt_findings
from edgewatch.tools.installation.rules_torch import torch_findings

DESCRIPTION = """\
Look at what is installed for the engine that is set: Python, PyAV, OpenCV, the NVIDIA driver,
CUDA, torch, transformers, TensorRT-LLM, OpenMPI, shared memory, the checkpoint's folder. Libraries
are imported in processes of their own, so that one that crashes or hangs is named. Each known
combination that does not work is a row, with its cure. Nothing is changed, nothing is fetched.

`edgewatch check` is the other half: it starts the engine and has it judge.
"""
EPILOG = """\
examples:
  edgewatch verify-install                     for the engine in the settings
  edgewatch verify-install --engine tensorrt   what a Spark would still need
  edgewatch verify-install --json | jq '.checks[] | select(.status == "fail")'

--json prints {"schema": 1, "ok": bool, "checks": [{name, subject, status, detail, cure}]}.
exit codes: 0 nothing failed (warnings allowed), 1 something failed, 78 settings wrong.
"""
KINDS = ("builtin", "transformers", "tensorrt", "remote", "native")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    try:
        settings = load_settings(options.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    if options.engine:
        engine = settings.engine.model_copy(update={"kind": options.engine})
        settings = settings.model_copy(update={"engine": engine})
    patience = Console(stderr=True)
    waiting = patience.status("importing libraries ...")
    try:
        with waiting if patience.is_terminal else nullcontext():
            findings = examine(gather(settings))
    except KeyboardInterrupt:
        sys.stderr.write("edgewatch verify-install: interrupted\n")
        return EX_FAILED
    if options.json:
        print(json.dumps(document(findings)))
    else:
        print_findings(findings, Console())
    return EX_OK if all_well(findings) else EX_FAILED


def examine(facts: Facts) -> list[Finding]:
    """Hold the facts against every rule."""
    return [*core_findings(facts), *torch_findings(facts), *tensorrt_findings(facts)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch verify-install",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    parser.add_argument("--engine", choices=KINDS, help="look at what this engine would need")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
