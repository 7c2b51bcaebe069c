from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.source import Source, parse_source, redact


@pytest.mark.parametrize(
    ("url", "kind", "location"),
    [
        ("rtsp://10.0.0.9/stream1", "rtsp", "rtsp://10.0.0.9/stream1"),
        ("RTSPS://cam.local:322/a?b=c", "rtsp", "rtsps://cam.local:322/a?b=c"),
        ("http://10.0.0.9/video.mjpg", "http", "http://10.0.0.9/video.mjpg"),
        ("https://[fe80::1]:8443/x", "http", "https://[fe80::1]:8443/x"),
        ("/videos/front door.mp4", "file", "/videos/front door.mp4"),
        ("clips/", "file", "clips/"),
        ("file:///videos/front%20door.mp4", "file", "/videos/front door.mp4"),
        ("/dev/video0", "device", "/dev/video0"),
    ],
)
def test_each_kind_of_address_is_recognised(url: str, kind: str, location: str) -> None:
    source = parse_source(url)
    assert (source.kind, source.location) == (kind, location)


def test_a_password_from_a_file_is_merged_percent_encoded() -> None:
    source = parse_source("rtsp://ad%40min@10.0.0.9:554/s", password="p@ss/w:rd#?")
    assert source.location == "rtsp://ad%40min:p%40ss%2Fw%3Ard%23%3F@10.0.0.9:554/s"


def test_a_password_from_a_file_replaces_the_inline_one() -> None:
    assert parse_source("rtsp://u:old@h/s", password="new").location == "rtsp://u:new@h/s"


def test_an_inline_password_is_accepted() -> None:
    assert parse_source("rtsp://u:p%40ss@h/s").location == "rtsp://u:p%40ss@h/s"


@pytest.mark.parametrize(
    ("url", "password", "cure"),
    [
        ("", None, "address is empty"),
        ("ftp://host/a", None, "use rtsp://"),
        ("rtsp:///path", None, "names no host"),
        ("rtsp://h:99999999/s", None, "percent-encoded"),
        ("rtsp://10.0.0.9/s", "secret", "rtsp://USER@host"),
        ("/videos/a.mp4", "secret", "remove password_file"),
        ("file://", None, "names no path"),
    ],
)
def test_an_unusable_address_is_refused_with_a_cure(
    url: str, password: str | None, cure: str
) -> None:
    with pytest.raises(ValueError, match=cure):
        parse_source(url, password=password)


@pytest.mark.parametrize("url", ["rtsp://user:hush#hush@h/s", "rtsp://user:hush[x@h/s"])
def test_an_address_that_cannot_be_read_is_refused_without_quoting_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded") as caught:
        parse_source(url)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_mistyped_scheme_is_not_quoted_when_it_may_be_a_password() -> None:
    with pytest.raises(ValueError, match="not supported") as caught:
        parse_source("user:hush@rtsp://h/s")
    assert "hush" not in str(caught.value)


def test_what_is_displayed_holds_no_user_password_query_or_login_in_the_path() -> None:
    shown = parse_source("rtsp://admin:hush@10.0.0.9:554/live?token=t0k3n&n=1#frag").display
    assert shown == "rtsp://10.0.0.9:554/live?***"
    in_path = parse_source("rtsp://10.0.0.9/user=admin_password=hush_channel=1.sdp").display
    assert in_path == "rtsp://10.0.0.9/user=***_password=***_channel=1.sdp"


_SECRET = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters="*"),
    min_size=6,
    max_size=20,
)


@given(user=_SECRET, password=_SECRET)
def test_no_user_or_password_ever_shows(user: str, password: str) -> None:
    encoded = quote(password, safe="")
    source = parse_source(f"rtsp://{quote(user, safe='')}@host/live", password=password)
    assert repr(source) == "Source(kind='rtsp', display='rtsp://host/live')"
    assert redact(f"open {source.location}: 401", source) == "open rtsp://host/live: 401"
    assert redact(f"<{password} {encoded}>", source) == "<*** ***>"


def test_redacting_leaves_words_alone_that_only_contain_a_short_user() -> None:
    source = parse_source("rtsp://a:b@host/live")
    assert redact("a bad request by a: b", source) == "*** bad request by ***: ***"


def test_a_file_has_nothing_to_redact() -> None:
    assert redact("cannot open /a b.mp4", Source("file", "/a b.mp4", "/a b.mp4")) == (
        "cannot open /a b.mp4"
    )
