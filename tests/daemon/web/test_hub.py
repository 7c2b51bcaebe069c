from __future__ import annotations

import json

import pytest

from edgewatch.daemon.web.hub import MOST_NEWS, Hub, HubFull, Page, sse


def joined(hub: Hub, *keys: str, cameras: tuple[str, ...] = ()) -> Page:
    return hub.join(keys, cameras, lambda: None)


def messages(page: Page) -> list[tuple[str, object]]:
    """What a browser would read: (event, data)."""
    found = []
    for block in page.take().decode().split("\n\n")[:-1]:
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


class TestPatches:
    def test_only_pages_that_show_a_part_are_told_of_it(self) -> None:
        hub = Hub()
        wall, other = joined(hub, "tile:front"), joined(hub, "status")
        hub.patch("tile:front", "<p>Normal</p>")
        assert messages(wall) == [("patch", {"key": "tile:front", "html": "<p>Normal</p>"})]
        assert other.take() == b""

    def test_what_did_not_change_is_not_told_again(self) -> None:
        hub = Hub()
        page = joined(hub, "summary")
        hub.patch("summary", "all well")
        page.take()
        hub.patch("summary", "all well")
        assert page.take() == b""

    def test_a_newcomer_is_told_what_the_others_know_already(self) -> None:
        hub = Hub()
        old = joined(hub, "summary")
        hub.patch("summary", "all well")
        old.take()
        new = joined(hub, "summary")
        hub.patch("summary", "all well", newcomer=new)
        assert messages(new) == [("patch", {"key": "summary", "html": "all well"})]
        assert old.take() == b""

    def test_a_slow_page_gets_the_newest_state_alone(self) -> None:
        hub = Hub()
        page = joined(hub, "summary")
        for number in range(1000):
            hub.patch("summary", f"state {number}")
        assert messages(page) == [("patch", {"key": "summary", "html": "state 999"})]

    def test_a_part_that_nobody_shows_any_more_is_told_anew(self) -> None:
        """It may have changed and changed back meanwhile, or be gone from the page."""
        hub = Hub()
        first = joined(hub, "summary")
        hub.patch("summary", "all well")
        hub.leave(first)
        again = joined(hub, "summary")
        hub.patch("summary", "all well")
        assert messages(again) == [("patch", {"key": "summary", "html": "all well"})]


class TestPictures:
    def test_a_slow_page_loses_pictures_and_they_are_counted(self) -> None:
        hub = Hub()
        page = joined(hub, cameras=("front", "back"))
        for number in range(5):
            hub.picture("front", sse("picture", number))
        hub.picture("back", sse("picture", "b"))
        hub.picture("elsewhere", sse("picture", "c"))
        assert messages(page) == [("picture", 4), ("picture", "b")]
        assert hub.figures.pictures_dropped == 4
        hub.leave(page)
        assert hub.figures.pictures_dropped == 4


class TestNews:
    def test_all_news_come_in_order_before_the_rest(self) -> None:
        hub = Hub()
        page = joined(hub, "summary", cameras=("front",))
        hub.picture("front", sse("picture", 0))
        hub.patch("summary", "one event")
        for number in range(MOST_NEWS):
            hub.news(sse("event", number))
        found = messages(page)
        assert [data for kind, data in found if kind == "event"] == list(range(MOST_NEWS))
        assert [kind for kind, _ in found[MOST_NEWS:]] == ["patch", "picture"]
        assert not page.cut

    def test_a_page_too_slow_for_the_news_is_cut_off_and_counted(self) -> None:
        """So that it connects again and gets the whole state, instead of missing an event."""
        hub = Hub()
        page = joined(hub)
        for number in range(MOST_NEWS + 1):
            hub.news(sse("event", number))
        assert page.cut
        assert hub.figures.pages_cut == 1
        hub.leave(page)
        hub.leave(page)
        assert hub.figures.pages_cut == 1


class TestPages:
    def test_there_are_only_so_many(self) -> None:
        hub = Hub(most_pages=2)
        first = joined(hub)
        joined(hub)
        with pytest.raises(HubFull):
            joined(hub)
        assert hub.figures.pages_refused == 1
        hub.leave(first)
        joined(hub)
        assert hub.figures.pages == 2

    def test_what_waits_wakes_the_page(self) -> None:
        hub = Hub()
        woken: list[int] = []
        hub.join(["summary"], ["front"], lambda: woken.append(1))
        hub.patch("summary", "x")
        hub.picture("front", b"x")
        hub.news(b"x")
        assert len(woken) == 3


def test_a_message_is_one_line_whatever_it_holds() -> None:
    message = sse("patch", {"html": "a\nb\r\n\u2028data: c\x85"})
    assert message.count(b"\n") == 3
    assert message.endswith(b"\n\n")
    assert json.loads(message.split(b"data: ", 1)[1])["html"] == "a\nb\r\n\u2028data: c\x85"
