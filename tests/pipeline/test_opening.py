from __future__ import annotations

import threading

import pytest

from edgewatch.pipeline.opening import opened

LONG_SECONDS = 10.0


class Door:
    def __init__(self) -> None:
        self.may_open = threading.Event()
        self.closed = threading.Event()

    def open(self) -> Door:
        assert self.may_open.wait(LONG_SECONDS)
        return self

    def close(self) -> None:
        assert not self.closed.is_set()
        self.closed.set()


def test_what_is_opened_is_handed_over_open() -> None:
    door = Door()
    door.may_open.set()
    assert opened(door.open, stopped=lambda: False) is door
    assert not door.closed.is_set()


def test_a_stop_does_not_wait_and_what_opens_later_is_closed() -> None:
    door = Door()
    assert opened(door.open, stopped=lambda: True) is None
    assert not door.closed.is_set()
    door.may_open.set()
    assert door.closed.wait(LONG_SECONDS)


def test_what_goes_wrong_is_raised_where_it_is_waited_for() -> None:
    def refuse() -> Door:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(ConnectionRefusedError, match="nobody there"):
        opened(refuse, stopped=lambda: False)
