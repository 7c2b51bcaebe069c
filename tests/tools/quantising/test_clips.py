"""Clips and texts to calibrate with: an even choice, bounded on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.sections import Clips
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.tools.quantising.clips import Chosen, ClipStore, KeptClip, batches
from edgewatch.tools.quantising.footage import drawn_clips
from edgewatch.tools.quantising.texts import SAMPLE_TOKENS, text_samples


def numbered(number: int) -> AskedClip:
    return AskedClip(np.full((2, 2, 2, 3), number, np.uint8), 4.0, "fire")


def stored(folder: Path, count: int, wanted: int) -> ClipStore:
    store = ClipStore(folder, wanted)
    for number in range(count):
        store.add(numbered(number))
    return store


def numbers(clips: tuple[KeptClip, ...]) -> list[int]:
    return [int(one.load().frames.max()) for one in clips]


class TestChoice:
    def test_of_much_footage_an_even_part_is_kept_and_the_disk_is_bounded(
        self, tmp_path: Path
    ) -> None:
        store = stored(tmp_path, 200, wanted=10)
        assert len(list(tmp_path.iterdir())) < 20
        chosen = store.choose(8, 2)
        together = sorted(numbers(chosen.calibration) + numbers(chosen.comparison))
        assert len(set(together)) == 10
        gaps = np.diff(together)
        assert gaps.max() <= 2 * gaps.min()
        assert together[0] < 20
        assert together[-1] >= 160

    def test_no_clip_serves_for_both_and_the_compared_lie_evenly(self, tmp_path: Path) -> None:
        chosen = stored(tmp_path, 9, wanted=9).choose(6, 3)
        assert numbers(chosen.comparison) == [0, 3, 6]
        assert numbers(chosen.calibration) == [1, 2, 4, 5, 7, 8]

    @pytest.mark.parametrize(("count", "calibrated", "compared"), [(2, 1, 1), (5, 3, 2), (7, 4, 3)])
    def test_of_little_footage_at_most_half_is_for_comparison(
        self, tmp_path: Path, count: int, calibrated: int, compared: int
    ) -> None:
        chosen = stored(tmp_path, count, wanted=100).choose(80, 20)
        assert (len(chosen.calibration), len(chosen.comparison)) == (calibrated, compared)

    def test_a_single_clip_serves_for_both_and_that_is_said(self, tmp_path: Path) -> None:
        chosen = stored(tmp_path, 1, wanted=10).choose(8, 2)
        assert chosen.shared
        assert chosen.calibration == chosen.comparison

    def test_without_calibration_all_are_for_comparison(self, tmp_path: Path) -> None:
        chosen = stored(tmp_path, 4, wanted=3).choose(0, 3)
        assert (len(chosen.calibration), len(chosen.comparison)) == (0, 3)

    def test_of_nothing_nothing_is_chosen(self, tmp_path: Path) -> None:
        assert ClipStore(tmp_path, 3).choose(2, 1) == Chosen((), (), shared=False)

    def test_batches_give_back_what_was_kept(self, tmp_path: Path) -> None:
        chosen = stored(tmp_path, 5, wanted=9).choose(0, 9)
        parts = list(batches(chosen.comparison, 2))
        assert [len(part) for part in parts] == [2, 2, 1]
        assert (parts[0][0].fps, parts[0][0].prompt) == (4.0, "fire")


class TestDrawnClips:
    def test_they_are_as_many_as_wanted_and_of_a_size_that_models_take(self) -> None:
        kind = Clips(fps=1.0, seconds=4.0, stride_seconds=4.0, pixels=12_544)
        clips = list(drawn_clips(kind, "fire", 3))
        assert len(clips) == 3
        for one in clips:
            assert one.frames.shape[0] == 4
            assert one.frames.shape[1] % 28 == one.frames.shape[2] % 28 == 0
            assert one.prompt == "fire"
        assert not np.array_equal(clips[0].frames, clips[1].frames)


class TestTexts:
    @staticmethod
    def encode(text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def test_a_file_is_cut_into_samples(self, tmp_path: Path) -> None:
        file = tmp_path / "articles.txt"
        file.write_text("\n\n".join("word " * 100 for _ in range(20)), "utf-8")
        samples = text_samples(file, self.encode, 3)
        assert [len(one) for one in samples] == [SAMPLE_TOKENS] * 3
        assert len(text_samples(file, self.encode, 100)) == 4

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"few words", "fewer than 16 tokens"), (b"\xff\xfe\x00", "no text in UTF-8")],
    )
    def test_what_is_no_text_of_some_length_is_refused(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        file = tmp_path / "text"
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=reason):
            text_samples(file, self.encode, 3)

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            text_samples(tmp_path / "none", self.encode, 3)
