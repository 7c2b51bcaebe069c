"""Sessions and attempts: bounded in time and number."""

from __future__ import annotations

import pytest

from edgewatch.daemon.web import attempts
from edgewatch.daemon.web.attempts import Attempts
from edgewatch.daemon.web.sessions import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_SESSIONS,
    Sessions,
    same,
)


class TestSessions:
    def test_a_key_finds_its_session_and_no_other_does(self) -> None:
        sessions = Sessions()
        key, session = sessions.begin(0.0)
        found = sessions.find(key, 1.0)
        assert found is not None
        assert found.csrf == session.csrf
        assert sessions.find(key + "x", 1.0) is None
        assert sessions.find("", 1.0) is None

    def test_keys_and_form_tokens_never_repeat(self) -> None:
        sessions = Sessions()
        pairs = [sessions.begin(0.0) for _ in range(50)]
        assert len({key for key, _ in pairs} | {one.csrf for _, one in pairs}) == 100
        assert all(len(key) >= 43 for key, _ in pairs)  # 256 bits in base64

    def test_a_session_that_nobody_uses_ends(self) -> None:
        sessions = Sessions()
        key, _ = sessions.begin(0.0)
        assert sessions.find(key, IDLE_SECONDS - 1) is not None
        assert sessions.find(key, 2 * IDLE_SECONDS - 2) is not None, "use prolongs it"
        assert sessions.find(key, 3 * IDLE_SECONDS) is None
        assert len(sessions) == 0

    def test_a_session_in_use_ends_all_the_same_after_its_longest_time(self) -> None:
        sessions = Sessions()
        key, _ = sessions.begin(0.0)
        now_seconds = 0.0
        while now_seconds + IDLE_SECONDS / 2 < LONGEST_SECONDS:
            now_seconds += IDLE_SECONDS / 2
            assert sessions.find(key, now_seconds) is not None
        assert sessions.find(key, LONGEST_SECONDS) is None

    def test_the_one_unused_longest_gives_way(self) -> None:
        sessions = Sessions()
        keys = [sessions.begin(0.0)[0] for _ in range(MOST_SESSIONS)]
        assert sessions.find(keys[0], 1.0)
        sessions.begin(2.0)
        assert len(sessions) == MOST_SESSIONS
        assert sessions.find(keys[1], 3.0) is None
        assert sessions.find(keys[0], 3.0)

    def test_an_ended_session_is_gone(self) -> None:
        sessions = Sessions()
        key, _ = sessions.begin(0.0)
        sessions.end(key)
        sessions.end(key)
        assert sessions.find(key, 0.0) is None


def test_secrets_are_compared_whole_whatever_they_hold() -> None:
    assert same("hunter2-é", "hunter2-é")
    assert not same("hunter2", "hunter")
    assert not same("\udcff", "hunter2")
    assert not same("", "hunter2")


class TestAttempts:
    def test_an_address_waits_after_its_failures_and_may_then_try_once(self) -> None:
        tries = Attempts()
        for _ in range(attempts.FAILURES_AN_ADDRESS):
            assert tries.wait_seconds("10.0.0.9", 0.0) == 0
            tries.failed("10.0.0.9", 0.0)
        wait_seconds = tries.wait_seconds("10.0.0.9", 0.0)
        assert wait_seconds == pytest.approx(attempts.REFILL_SECONDS)
        assert tries.wait_seconds("10.0.0.8", 0.0) == 0, "others do not wait with it"
        assert tries.wait_seconds("10.0.0.9", wait_seconds) == 0
        tries.failed("10.0.0.9", wait_seconds)
        assert tries.wait_seconds("10.0.0.9", wait_seconds) > 0

    def test_addresses_of_one_ipv6_network_count_as_one(self) -> None:
        tries = Attempts()
        for number in range(attempts.FAILURES_AN_ADDRESS):
            tries.failed(f"2001:db8::{number:x}", 0.0)
        assert tries.wait_seconds("2001:db8::ffff", 0.0) > 0
        assert tries.wait_seconds("2001:db8:0:1::1", 0.0) == 0

    def test_many_addresses_meet_a_bound_on_all(self) -> None:
        tries = Attempts()
        for number in range(attempts.FAILURES_IN_ALL):
            tries.failed(f"10.0.{number // 250}.{number % 250}", 0.0)
        assert tries.wait_seconds("192.0.2.1", 0.0) > 0

    def test_the_table_is_bounded(self) -> None:
        tries = Attempts()
        for number in range(attempts.MOST_ADDRESSES + 50):
            tries.failed(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", 0.0)
        assert len(tries) == attempts.MOST_ADDRESSES
