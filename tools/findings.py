"""A finding of `edgewatch check`: one thing that was looked at, how it stands, and the cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

SCHEMA = 1

Status = Literal["ok", "warn", "fail"]
_STYLES: dict[Status, str] = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One row; no part of it ever holds a secret."""

    name: str
    """What was looked at, fixed: settings, data_dir, records, clock, camera, broker, engine ..."""
    subject: str
    """Which one: a camera's name, a path, an address."""
    status: Status
    detail: str
    cure: str = ""
    """What to do about it; empty only while all is well."""


def ok(name: str, subject: str, detail: str) -> Finding:
    """Find that something is as it should be."""
    return Finding(name, subject, "ok", detail)


def warn(name: str, subject: str, detail: str, cure: str) -> Finding:
    """Find something unwise, or that may become trouble; it fails nothing."""
    return Finding(name, subject, "warn", detail, cure)


def fail(name: str, subject: str, detail: str, cure: str) -> Finding:
    """Find something that does not work."""
    return Finding(name, subject, "fail", detail, cure)


def all_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed; warnings are allowed."""
    return all(one.status != "fail" for one in findings)


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the JSON document of `--json`."""
    return {
        "schema": SCHEMA,
        "ok": all_well(findings),
        "checks": [asdict(one) for one in findings],
    }


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print a table in the order in which things were looked at, and a line that sums it up."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("found", overflow="fold")
    for one in findings:
        table.add_row(Text(one.status, style=_STYLES[one.status]), Text(one.name), _found(one))
    console.print(table)
    console.print(Text(_sum(findings)))


def _found(one: Finding) -> Text:
    # As Text: paths and a camera's words may hold what rich would take for mark-up.
    found = Text.assemble((one.subject, "bold"), ": " if one.subject else "", one.detail)
    if one.cure:
        found.append(f"\n-> {one.cure}", style=_STYLES[one.status])
    return found


def _sum(findings: Sequence[Finding]) -> str:
    count = Counter(one.status for one in findings)
    if not (count["fail"] or count["warn"]):
        return f"all {count['ok']} checks ok"
    return f"{count['fail']} failed, {count['warn']} with a warning, {count['ok']} ok"
