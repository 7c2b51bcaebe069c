from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline import nal
from tests.fakes.packets import encoded


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("libx265", "hevc")])
def test_both_forms_of_a_stream_have_the_same_parameter_sets(codec: str, name: str) -> None:
    coded, packets = encoded(codec)
    boxed, boxed_packets = encoded(codec, suffix=".mp4")
    assert nal.length_bytes(name, coded.extradata) == 0
    assert nal.length_bytes(name, boxed.extradata) == 4
    sets = nal.parameter_sets(name, boxed.extradata)
    assert len(sets) == (2 if name == "h264" else 3)
    assert set(sets) == set(nal.parameter_sets(name, coded.extradata))
    assert set(nal.carried_sets(name, packets[0][0])) == set(sets)
    assert nal.carried_sets(name, packets[1][0]) == ()
    # The boxed stream with start codes carries the same picture
    opened = nal.with_start_codes(boxed_packets[1][0], 4)
    assert opened.startswith(nal.START)
    assert len(opened) == len(boxed_packets[1][0])


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10), st.sampled_from([1, 2, 4]))
def test_lengths_become_start_codes(units: list[bytes], prefix_bytes: int) -> None:
    prefixed = b"".join(len(unit).to_bytes(prefix_bytes, "big") + unit for unit in units)
    assert nal.with_start_codes(prefixed, prefix_bytes) == nal.joined(tuple(units))


@given(st.binary(max_size=200), st.sampled_from(["h264", "hevc"]))
def test_no_bytes_make_the_reader_fail(data: bytes, codec: str) -> None:
    nal.parameter_sets(codec, data)
    nal.parameter_sets(codec, b"\1" + data)
    nal.carried_sets(codec, data)
    nal.with_start_codes(data, 4)
