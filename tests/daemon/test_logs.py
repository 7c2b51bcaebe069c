"""Logs as people and journald see them."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from edgewatch.daemon.logs import configure_logs


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_everything_but_a_terminal_gets_json_lines() -> None:
    out = io.StringIO()
    configure_logs(stream=out, level="info")
    structlog.get_logger().info("camera online", camera="front", latency_seconds=0.5)
    (line,) = lines(out)
    assert (line["event"], line["camera"], line["level"]) == ("camera online", "front", "info")
    assert str(line["timestamp"]).endswith("Z")


def test_a_line_a_clip_is_for_people_and_not_for_the_journal() -> None:
    journal, terminal = io.StringIO(), Terminal()
    configure_logs(stream=journal, level="info")
    structlog.get_logger().info("clip judged", camera="front")
    configure_logs(stream=terminal, level="info")
    structlog.get_logger().info("clip judged", camera="front")
    assert journal.getvalue() == ""
    assert "clip judged" in terminal.getvalue()


def test_the_journal_gets_it_at_debug_level() -> None:
    journal = io.StringIO()
    configure_logs(stream=journal, level="debug")
    structlog.get_logger().info("clip judged", camera="front")
    assert len(lines(journal)) == 1


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_tracebacks_show_no_variables(stream: io.StringIO) -> None:
    """A local variable may be an address with its password."""
    configure_logs(stream=stream, level="info")
    secret = "hunter2"
    try:
        raise RuntimeError("broken" + secret[:0])
    except RuntimeError:
        structlog.get_logger().exception("internal fault")
    assert "RuntimeError: broken" in stream.getvalue().replace("\\n", "\n")
    assert "hunter2" not in stream.getvalue().replace('secret = "hunter2"', "")


def test_level_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWATCH_LOG", "warning")
    out = io.StringIO()
    configure_logs(stream=out)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("this")
    assert [line["event"] for line in lines(out)] == ["this"]


def test_unknown_level_is_said_and_not_fatal() -> None:
    out = io.StringIO()
    configure_logs(stream=out, level="loud")
    (line,) = lines(out)
    assert (line["event"], line["given"], line["used"]) == ("unknown log level", "loud", "info")
