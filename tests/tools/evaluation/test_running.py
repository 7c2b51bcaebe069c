"""Evaluations of small real videos by engines whose answers depend on what they see."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings, load_settings
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, Clip
from edgewatch.tools.evaluation.choice import EngineChoice, read_choices
from edgewatch.tools.evaluation.dataset import Dataset, read_dataset
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.running import Turns, evaluate
from tests.fakes.engine import FakeEngine
from tests.fakes.videos import Drawing, drifting_bar, noisy_scene, truncate, write_video

SECONDS = 4
CLIPS_EACH = 7
"""Of 1 s every 0.5 s."""


def brightness(clip: Clip) -> float:
    return float(clip.stacked().mean()) / 255.0


def spread(clip: Clip) -> float:
    return min(1.0, float(clip.stacked().std()) / 128.0)


def twice_as_large(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    picture = drifting_bar(index, width // 2, height // 2)
    return picture.repeat(2, axis=0).repeat(2, axis=1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings; the fourth is the second one, twice as large."""
    folder = tmp_path_factory.mktemp("videos")
    drawn: dict[str, tuple[Drawing, int]] = {
        "Anom_noise": (noisy_scene, 64),
        "Norm_bar": (drifting_bar, 64),
        "Norm_wide": (lambda i, w, h: 255 - drifting_bar(2 * i, w, h), 96),
        "Norm_zagain": (twice_as_large, 128),
    }
    for name, (draw, width) in drawn.items():
        write_video(
            folder / f"{name}.mp4", width=width, frames=10 * SECONDS, draw=draw, created=None
        )
    return folder


@pytest.fixture(scope="module")
def dataset(videos: Path) -> Dataset:
    return read_dataset(videos)


@pytest.fixture(scope="module")
def settings() -> Settings:
    clips = {"fps": 4.0, "seconds": 1.0, "stride_seconds": 0.5, "pixels": 12_544}
    return load_settings(environ={}, overrides={"clips": clips}, default_files=())


class Bench:
    """Makes fake engines and remembers them; which answers depends on the prompt."""

    def __init__(self, **answers: Callable[[Clip], float]) -> None:
        self.made: list[FakeEngine] = []
        self._answers = answers

    def make(self, setup: EngineSetup) -> FakeEngine:
        """Make an engine; its number of answers is its kind: `max_batch` tells them apart."""
        names = {2: "dark", 3: "spread"}
        self.made.append(
            FakeEngine(self._answers[names[setup.max_batch]], max_batch=setup.max_batch)
        )
        return self.made[-1]

    @property
    def judged(self) -> int:
        """Clips judged by all engines together."""
        return sum(len(batch) for one in self.made for batch in one.batches)


def bench() -> Bench:
    return Bench(dark=brightness, spread=spread)


def choices(settings: Settings, *names: str) -> tuple[EngineChoice, ...]:
    written = {"dark": "dark=builtin,max_batch=2", "spread": "spread=builtin,max_batch=3"}
    return read_choices([written[name] for name in names], settings)


@pytest.fixture(scope="module")
def both(dataset: Dataset, settings: Settings) -> Evaluation:
    """What an evaluation that is never interrupted gives."""
    return evaluate(dataset, choices(settings, "dark", "spread"), make_engine=bench().make)


def assert_same(one: Evaluation, other: Evaluation) -> None:
    """See that nothing but times differs."""
    for run, twin in zip(one.runs, other.runs, strict=True):
        assert run.recordings == twin.recordings
        assert (run.asked, run.engine, run.threshold) == (twin.asked, twin.engine, twin.threshold)
    assert one.failed == other.failed
    assert one.duplicates == other.duplicates
    assert one.pictures == other.pictures
    assert one.pictures_decoded == other.pictures_decoded


def test_all_engines_judge_the_same_clips_and_each_video_is_decoded_once(
    both: Evaluation, dataset: Dataset, settings: Settings
) -> None:
    alone = evaluate(dataset, choices(settings, "dark"), make_engine=bench().make)
    assert both.pictures_decoded == alone.pictures_decoded
    assert 0 < both.pictures_decoded <= 4 * 10 * SECONDS
    assert both.runs[0].recordings == alone.runs[0].recordings
    dark, wide = both.runs
    assert [len(one.clips) for one in dark.recordings] == [CLIPS_EACH] * 4
    for one, other in zip(dark.recordings, wide.recordings, strict=True):
        assert [clip.clip_id for clip in one.clips] == [clip.clip_id for clip in other.clips]
        assert one.duration_seconds == pytest.approx(SECONDS, abs=0.2)
    assert dark.recordings[0].clips != wide.recordings[0].clips
    assert {len(run.costs.total_ms) for run in both.runs} == {4 * CLIPS_EACH}
    assert all(run.costs.memory_is_shared for run in both.runs)
    assert not alone.runs[0].costs.memory_is_shared
    assert both.runs[0].costs.energy_joules is None
    assert "--in-turn" in both.runs[0].costs.energy_source


def test_recording_that_was_encoded_anew_is_named(both: Evaluation) -> None:
    pairs = [(one.first, one.second) for one in both.duplicates]
    assert pairs == [("Norm_bar.mp4", "Norm_zagain.mp4")]


def test_pictures_are_there_for_each_engines_worst_clip(both: Evaluation) -> None:
    shown = {(one.recording, one.clip_id) for one in both.pictures}
    for run in both.runs:
        for recording in run.recordings:
            worst = max(recording.clips, key=lambda clip: clip.score)
            assert (recording.name, worst.clip_id) in shown
    assert all(one.jpeg.startswith(b"\xff\xd8") for one in both.pictures)


def test_what_the_journal_holds_is_not_judged_again(
    tmp_path: Path, both: Evaluation, dataset: Dataset, settings: Settings
) -> None:
    journal = tmp_path / "journal.jsonl"
    first, second, third = bench(), bench(), bench()
    evaluate(dataset, choices(settings, "dark"), journal=journal, make_engine=first.make)
    grown = evaluate(
        dataset, choices(settings, "dark", "spread"), journal=journal, make_engine=second.make
    )
    assert [one.max_batch for one in second.made] == [3]
    again = evaluate(
        dataset, choices(settings, "dark", "spread"), journal=journal, make_engine=third.make
    )
    assert third.made == []
    assert_same(again, grown)
    for run, twin in zip(grown.runs, both.runs, strict=True):
        assert run.recordings == twin.recordings


def test_cut_off_in_the_middle_it_goes_on_to_the_identical_result(
    tmp_path: Path, both: Evaluation, dataset: Dataset, settings: Settings
) -> None:
    """What kill -9 leaves is some whole lines, and a part of one."""
    journal = tmp_path / "journal.jsonl"
    asked = choices(settings, "dark", "spread")
    evaluate(dataset, asked, journal=journal, make_engine=bench().make)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    journal.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
    rest = bench()
    assert_same(evaluate(dataset, asked, journal=journal, make_engine=rest.make), both)
    assert rest.judged == 2 * 2 * CLIPS_EACH


def test_other_threshold_and_labels_judge_nothing_again(
    tmp_path: Path, videos: Path, dataset: Dataset, settings: Settings
) -> None:
    journal = tmp_path / "journal.jsonl"
    evaluate(dataset, choices(settings, "dark"), journal=journal, make_engine=bench().make)
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,label\n{videos / 'Norm_bar.mp4'},Anomaly\n")
    unused = bench()
    asked = read_choices(
        ["dark=builtin,max_batch=2,threshold=0.01", "b=builtin,max_batch=2"], settings
    )
    evaluation = evaluate(
        read_dataset(videos, labels), asked, journal=journal, make_engine=unused.make
    )
    assert unused.made == []
    low, usual = evaluation.runs
    assert low.recordings[1].label == "Anomaly"
    assert all(one.events for one in low.recordings)
    assert [one.clips for one in low.recordings] == [one.clips for one in usual.recordings]


def test_engine_that_became_another_one_judges_everything_again(
    tmp_path: Path, dataset: Dataset, settings: Settings
) -> None:
    journal = tmp_path / "journal.jsonl"
    asked = choices(settings, "dark")
    evaluate(dataset, asked, journal=journal, make_engine=bench().make)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))

    class Newer(FakeEngine):
        name = "fake-2"

    newer: list[Newer] = []

    def make(setup: EngineSetup) -> Newer:
        newer.append(Newer(spread, max_batch=2))
        return newer[-1]

    evaluation = evaluate(dataset, asked, journal=journal, make_engine=make)
    assert evaluation.runs[0].engine == "fake-2"
    assert sum(len(batch) for batch in newer[0].batches) == 4 * CLIPS_EACH


@pytest.mark.parametrize("most_bytes", [1 << 30, 400_000])
def test_in_turn_gives_what_all_at_once_give(
    tmp_path: Path, both: Evaluation, dataset: Dataset, settings: Settings, most_bytes: int
) -> None:
    """Also if the spool only holds a recording or two at a time."""
    turns = Turns(tmp_path, most_bytes)
    made = bench()
    evaluation = evaluate(
        dataset, choices(settings, "dark", "spread"), turns=turns, make_engine=made.make
    )
    assert_same(evaluation, both)
    assert list(tmp_path.iterdir()) == []
    assert all(one.closed == 1 for one in made.made)
    assert len(made.made) == 2 if most_bytes == 1 << 30 else len(made.made) > 2
    assert not evaluation.runs[0].costs.memory_is_shared


def test_recording_beyond_the_spool_is_left_out_with_the_cure(
    tmp_path: Path, dataset: Dataset, settings: Settings
) -> None:
    turns = Turns(tmp_path, 10_000)
    with pytest.raises(ConfigError, match="raise --spool-gib"):
        evaluate(
            dataset, choices(settings, "dark", "spread"), turns=turns, make_engine=bench().make
        )


def test_broken_recordings_are_left_out_for_all_and_named(
    tmp_path: Path, videos: Path, both: Evaluation, settings: Settings
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(videos, folder)
    truncate(folder / "Norm_bar.mp4", keep=0.6)
    (folder / "Anom_empty.mp4").write_bytes(b"no video")
    write_video(folder / "Norm_zz.mp4", frames=3, created=None)
    made = bench()
    journal = tmp_path / "journal.jsonl"
    for _ in range(2):  # the second time all of it is known from the journal
        evaluation = evaluate(
            read_dataset(folder), choices(settings, "dark"), journal=journal, make_engine=made.make
        )
        names = [one.name for one in evaluation.failed]
        assert names == ["Anom_empty.mp4", "Norm_bar.mp4", "Norm_zz.mp4"]
        assert "too short" in evaluation.failed[-1].reason
        left = [one.name for one in evaluation.runs[0].recordings]
        assert left == ["Anom_noise.mp4", "Norm_wide.mp4", "Norm_zagain.mp4"]
    assert len(made.made) == 1


def test_engine_that_fails_over_one_recording_costs_only_that_one(
    dataset: Dataset, settings: Settings
) -> None:
    def moody(clip: Clip) -> float:
        if clip.camera == "norm_bar":
            raise EngineFailed("cannot look at bars")
        return spread(clip)

    made = Bench(dark=brightness, spread=moody)
    evaluation = evaluate(dataset, choices(settings, "dark", "spread"), make_engine=made.make)
    ((name, reason),) = [(one.name, one.reason) for one in evaluation.failed]
    assert name == "Norm_bar.mp4"
    assert reason == "spread did not judge it: cannot look at bars"
    assert [len(run.recordings) for run in evaluation.runs] == [3, 3]


def test_answer_that_is_no_probability_is_no_judgement(
    dataset: Dataset, settings: Settings
) -> None:
    made = Bench(dark=lambda clip: float("nan") if clip.camera == "norm_bar" else 0.5)
    evaluation = evaluate(dataset, choices(settings, "dark"), make_engine=made.make)
    assert [one.name for one in evaluation.failed] == ["Norm_bar.mp4"]
    assert "not a probability" in evaluation.failed[0].reason


def test_engine_that_fails_always_ends_the_evaluation(dataset: Dataset, settings: Settings) -> None:
    def broken(clip: Clip) -> float:
        raise EngineFailed("out of memory")

    made = Bench(dark=brightness, spread=broken)
    with pytest.raises(EngineFailed, match=r"spread failed over 3 recordings.*out of memory"):
        evaluate(dataset, choices(settings, "dark", "spread"), make_engine=made.make)
    assert all(one.closed for one in made.made)


def test_engine_that_does_not_load_is_named(dataset: Dataset, settings: Settings) -> None:
    class Unloadable(FakeEngine):
        async def start(self) -> None:
            raise EngineFailed("no such checkpoint")

    with pytest.raises(EngineFailed, match="dark: no such checkpoint"):
        evaluate(dataset, choices(settings, "dark"), make_engine=lambda _: Unloadable())


def test_no_labelled_recording_is_told_with_reasons(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(ConfigError, match=r"no labelled recording could be judged\n  holiday.mp4"):
        evaluate(read_dataset(tmp_path), choices(settings, "dark"), make_engine=bench().make)


def test_slow_engine_keeps_the_others_waiting_and_no_clip_is_lost(
    dataset: Dataset, settings: Settings, both: Evaluation
) -> None:
    """Each batch of the slow one waits until the quick one has got as far as its queue allows."""

    class Slow(FakeEngine):
        async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
            for _ in range(50):
                await asyncio.sleep(0)
            return await super().judge(clips)

    def make(setup: EngineSetup) -> FakeEngine:
        if setup.max_batch == 2:
            return FakeEngine(brightness, max_batch=2)
        return Slow(spread, max_batch=3)

    evaluation = evaluate(dataset, choices(settings, "dark", "spread"), make_engine=make)
    assert_same(evaluation, both)
