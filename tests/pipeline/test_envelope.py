from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.envelope import EXPIRY_SECONDS, envelope_of
from edgewatch.pipeline.messages import Topics

cameras = st.from_regex(r"[a-z0-9_-]{1,20}", fullmatch=True)
bases = st.sampled_from(["edgewatch", "site/a/edgewatch"])


@given(bases, cameras, st.booleans())
def test_every_message_of_a_camera_names_it(base: str, camera: str, replay: bool) -> None:
    topics = Topics(base, replay=replay)
    for topic in (*topics.retained_of(camera), topics.verdict(camera), topics.events(camera)):
        user = dict(envelope_of(topics, topic).user)
        assert (user["schema"], user["camera"]) == ("1", camera)
        assert topic.endswith(f"/{user['type']}")
        assert user.get("replay") == ("true" if replay else None)


@pytest.mark.parametrize("kind", ["verdict", "stats", "events", "coverage"])
def test_what_grows_stale_expires(kind: str) -> None:
    topics = Topics()
    topic = topics.stats if kind == "stats" else f"edgewatch/front/{kind}"
    assert envelope_of(topics, topic).expiry_seconds == EXPIRY_SECONDS[kind] > 0


@pytest.mark.parametrize("kind", ["state", "health", "settings", "thumbnail"])
def test_what_holds_until_the_next_never_expires(kind: str) -> None:
    """It is told on a change alone: gone, it would leave those who come later without."""
    assert envelope_of(Topics(), f"edgewatch/front/{kind}").expiry_seconds is None


def test_status_is_plain_text_and_a_picture_no_text() -> None:
    assert envelope_of(Topics(), "edgewatch/status").content_type == "text/plain"
    picture = envelope_of(Topics(), "edgewatch/front/thumbnail")
    assert (picture.content_type, picture.text) == ("image/jpeg", False)


def test_what_is_not_ours_to_name_is_json_and_no_more() -> None:
    envelope = envelope_of(Topics(), "homeassistant/device/edgewatch/front/config")
    assert (envelope.content_type, envelope.user, envelope.expiry_seconds) == (
        "application/json",
        (),
        None,
    )
