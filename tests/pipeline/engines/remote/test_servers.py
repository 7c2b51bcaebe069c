"""Who is asked next, and who is left out: pure rules on a clock that is handed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.remote.dialect import VLLM
from edgewatch.pipeline.engines.remote.servers import (
    LONGEST_EXILE_SECONDS,
    LOSSES_BORNE,
    Server,
    Servers,
    place_of,
)
from edgewatch.pipeline.engines.remote.trouble import ServerGone, ServerLost, SettingsWrong

LOST = ServerLost("broke the connection")


def well(count: int, *, slots: int = 4) -> tuple[Servers, list[Server]]:
    servers = Servers(
        [f"http://s{number}/v1" for number in range(count)], slots=slots, random=lambda: 0.5
    )
    for server in servers:
        servers.admit(server, VLLM, "m")
    return servers, list(servers)


def take(servers: Servers, now_seconds: float = 0.0) -> Server | None:
    server = servers.pick(now_seconds)
    if server is not None:
        server.outstanding += 1
    return server


def test_the_server_with_the_least_to_do_is_asked() -> None:
    servers, (one, other) = well(2)
    one.outstanding = 2
    assert [take(servers) for _ in range(2)] == [other, other]
    assert {take(servers), take(servers)} == {one, other}


def test_equals_take_turns() -> None:
    servers, all_of_them = well(3)
    assert {servers.pick(0.0) for _ in range(3)} == set(all_of_them)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(1, 4))
def test_load_is_level_and_never_above_the_slots(begun: list[int], slots: int) -> None:
    servers, all_of_them = well(len(begun), slots=slots)
    for server, count in zip(all_of_them, begun, strict=True):
        server.outstanding = min(count, slots)
    while (asked := take(servers)) is not None:
        assert asked.outstanding <= slots
        assert asked.outstanding - 1 <= min(one.outstanding for one in all_of_them)
    assert all(server.outstanding == slots for server in all_of_them)


def test_a_server_is_left_out_after_losses_in_a_row_and_not_before() -> None:
    servers, (server,) = well(1)
    for number in range(LOSSES_BORNE - 1):
        servers.lost(server, number, number + 0.5, LOST)
    servers.answered(server)
    for number in range(10, 10 + LOSSES_BORNE):
        assert server.well
        servers.lost(server, number, number + 0.5, LOST)
    assert not server.well
    assert servers.pick(20.0) is None
    assert not servers.any_well


def test_requests_lost_in_one_moment_are_one_loss() -> None:
    servers, (server,) = well(1)
    for _ in range(20):
        servers.lost(server, 1.0, 2.0, LOST)
    assert server.well


def test_each_exile_is_longer_up_to_a_limit_and_a_good_one_begins_anew() -> None:
    servers, (server,) = well(1)
    exiles = []
    for _ in range(8):
        servers.leave_out(server, 100.0, ServerGone("hangs"))
        exiles.append(server.again_at_seconds - 100.0)
        assert servers.due(server.again_at_seconds - 0.01) == []
        assert servers.due(server.again_at_seconds) == [server]
    assert exiles[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert exiles[-1] == LONGEST_EXILE_SECONDS
    servers.admit(server, VLLM, "m")
    assert servers.next_due_seconds() is None
    servers.leave_out(server, 0.0, ServerGone("hangs"))
    assert server.again_at_seconds == 1.0


def test_a_busy_server_rests_as_long_as_it_asked_for() -> None:
    servers, (one, other) = well(2)
    servers.busy(one, 10.0, 5.0)
    servers.busy(one, 10.0, 1.0)
    assert {servers.pick(14.9) for _ in range(4)} == {other}
    assert servers.rest_ends_seconds(14.9) == 15.0
    assert {servers.pick(15.0) for _ in range(4)} == {one, other}
    assert servers.rest_ends_seconds(15.0) is None


def test_a_failure_tells_each_server_and_a_single_cure_apart() -> None:
    servers, (one, other) = well(2)
    servers.leave_out(one, 0.0, SettingsWrong("wants a token", "set [engine] token_file"))
    failure = servers.failure()
    assert failure.what == "no server can be asked: http://s0/v1 wants a token"
    assert failure.cure == "set [engine] token_file"
    servers.leave_out(other, 0.0, ServerGone("hangs"))
    assert str(servers.failure()) == (
        "no server can be asked: http://s0/v1 wants a token: set [engine] token_file; "
        "http://s1/v1 hangs"
    )


@pytest.mark.parametrize("url", ["http://s/v1", "http://s/v1/", "http://s/v1?key=secret#part"])
def test_a_place_is_told_without_what_may_be_secret(url: str) -> None:
    assert place_of(url) == "http://s/v1"
