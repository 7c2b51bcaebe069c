"""The one bar: what stands beside it is text, whatever it looks like."""

from __future__ import annotations

import pytest

from edgewatch.tools.one_bar import OneBar


def test_a_name_that_looks_like_markup_is_drawn_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then draws as on a terminal
    monkeypatch.setenv("COLUMNS", "120")
    with OneBar("recordings", 2, shown=True) as bar:
        bar.step("ride[/bold] [red].mp4")
        bar.advance()
    captured = capsys.readouterr()
    assert "ride[/bold] [red].mp4" in captured.err
    assert captured.out == ""


def test_nothing_is_drawn_where_it_is_not_to_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with OneBar("recordings", 2, shown=False) as bar:
        bar.step("ride.mp4")
    assert capsys.readouterr().err == ""
