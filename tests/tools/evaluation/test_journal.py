"""The journal: what is read is what was written, whenever the writing was cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.tools.evaluation.journal import Journal
from edgewatch.tools.evaluation.judgement import ClipAnswer, Judgement, Seen, Signature

SAID = Judgement(
    engine="fake-1",
    answers=(ClipAnswer(0.0, 1.0, 0.1 + 0.2), ClipAnswer(0.5, 1.5, 1 / 3, uncertain=True)),
    simulated="NVFP4 imitated",
    engine_ms=(1.25, 1.25),
    batch_ms=(2.5, 2.5),
    judging_seconds=0.1,
    load_seconds=2.0,
    peak_memory_bytes=1,
    energy_source="nobody",
)
SEEN = Seen(
    clips=2,
    duration_seconds=None,
    decode_seconds=0.25,
    pictures_decoded=12,
    signature=Signature(np.arange(512, dtype=np.uint8).reshape(2, 16, 16)),
    thumbnails={1: b"\xff\xd8"},
)


def test_what_was_noted_is_read_again_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "out" / "journal.jsonl"
    with Journal(path) as journal:
        journal.note("a", SEEN, {"one": SAID})
        journal.note("a", replace(SEEN, thumbnails={0: b"2"}), {"two": replace(SAID, engine="2")})
    with Journal(path) as journal:
        assert journal.judgement("a", "one") == SAID
        assert journal.judgement("a", "two") == replace(SAID, engine="2")
        assert journal.judgement("b", "one") is None
        seen = journal.seen("a")
    assert seen is not None
    assert seen.thumbnails == {1: b"\xff\xd8", 0: b"2"}
    assert np.array_equal(seen.signature.pictures, SEEN.signature.pictures)
    assert replace(seen, signature=SEEN.signature, thumbnails={}) == replace(SEEN, thumbnails={})


def test_cut_at_any_byte_it_knows_the_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ends = []
    with Journal(path) as journal:
        for name in ("a", "b"):
            ends.append(path.stat().st_size)
            journal.note(name, None, {"one": SAID})
    whole = path.read_bytes()
    for cut in (0, 5, ends[0], ends[0] + 1, ends[1] - 1, ends[1], len(whole) - 1):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            known = [journal.judgement(name, "one") == SAID for name in ("a", "b")]
            assert known == [cut >= ends[1], False]
            journal.note("c", None, {"one": SAID})
        with Journal(path) as journal:
            assert journal.judgement("c", "one") == SAID


def test_two_at_a_time_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path), pytest.raises(ConfigError, match="another evaluation"), Journal(path):
        pass


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("hello\n", "is no journal of edgewatch evaluate"),
        ('{"edgewatch_evaluation_journal": 99}\n', "another version of edgewatch.*--anew"),
        ('{"edgewatch_evaluation_journal": 1}\n{"x": 1}\n', "line 2: is damaged.*--anew"),
    ],
)
def test_what_is_no_journal_is_refused_and_left_alone(
    tmp_path: Path, lines: str, told: str
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(lines)
    with pytest.raises(ConfigError, match=told), Journal(path):
        pass
    assert path.read_text() == lines


def test_what_another_version_of_an_engine_said_is_dropped() -> None:
    with Journal() as journal:
        journal.note("a", None, {"one": SAID, "two": SAID})
        assert journal.forget("one", other_than="fake-1") == 0
        assert journal.forget("one", other_than="fake-2") == 1
        assert journal.judgement("a", "one") is None
        assert journal.judgement("a", "two") == SAID


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        Journal(tmp_path / "file" / "journal.jsonl"),
    ):
        pass
