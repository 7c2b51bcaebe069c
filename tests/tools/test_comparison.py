"""Two settings on the same recordings: the least work, the same answers, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.settings import Settings, load_settings
from edgewatch.pipeline.errors import EngineBusy
from edgewatch.pipeline.recorder import Recorded
from edgewatch.pipeline.types import Answer, CameraName, Clip
from edgewatch.tools.both_engines import BothEngines, twin
from edgewatch.tools.compare import Side, answered, under, way_to_compare
from edgewatch.tools.compare_report import render
from edgewatch.tools.comparison import Comparison, Pair, alerts, differing, document
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.replay import main
from tests.fakes.clips import make_clip
from tests.fakes.engine import FakeEngine
from tests.integration.processes import footage, write_settings
from tests.tools.replays import a_replay, a_result

NEVER: dict[str, dict[str, Any]] = {"events": {"open_after": 60, "open_within": 60}}
"""More anomalous clips than there are."""
CRASH, CALM = RecordingLabel("Anomaly"), RecordingLabel("Normal")
WORRYING, QUIET = (0.2, 0.9, 0.9, 0.2), (0.1, 0.2, 0.1, 0.1)


def side(folder: Path, toml: str, name: str = "a") -> Side:
    file = folder / f"{name}.toml"
    file.write_text(toml)
    settings = load_settings(file, {})
    return Side(name, settings, settings.plan_for(None))


def comparison(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    labels: Sequence[RecordingLabel | None] | None = None,
) -> Comparison:
    names = [f"clip{number}.mp4" for number in range(len(first))]
    known = labels or [None] * len(first)
    sides = [
        a_replay(*(a_result(n, s, label=k) for n, s, k in zip(names, scores, known, strict=True)))
        for scores in (first, second)
    ]
    return Comparison(
        first=sides[0],
        second=sides[1],
        first_name="a.toml",
        second_name="b.toml",
        how="once",
        differing={"engine.threshold": (0.5, 0.7)},
        wall_seconds=1.0,
    )


class TestWay:
    @pytest.mark.parametrize(
        ("other", "way"),
        [
            ("", "once"),
            ("[engine]\nthreshold = 0.7\n", "once"),
            ("[events]\nopen_after = 1\nclose_below = 0.3\n", "once"),
            ('[engine]\nprompt = "A cat."\n', "once"),  # the built-in engine does not read
            ("[engine]\nmax_batch = 2\n", "decoded_once"),
            ('[engine]\nkind = "remote"\nurl = "http://h/v1"\n', "decoded_once"),
            ("[clips]\nseconds = 4.0\n", "loaded_once"),
            ("[clips]\nseconds = 4.0\n[engine]\nmax_batch = 2\n", "twice"),
        ],
    )
    def test_no_more_is_done_than_tells_them_apart(
        self, tmp_path: Path, other: str, way: str
    ) -> None:
        assert way_to_compare(side(tmp_path, ""), side(tmp_path, other, "b")) == way

    def test_a_prompt_counts_where_the_engine_reads_it(self, tmp_path: Path) -> None:
        remote = '[engine]\nkind = "remote"\nurl = "http://h/v1"\n'
        first = side(tmp_path, remote)
        second = side(tmp_path, f'{remote}prompt = "A cat."\n', "b")
        assert way_to_compare(first, second) == "decoded_once"

    def test_two_models_are_never_in_memory_together(self, tmp_path: Path) -> None:
        sides = [
            side(tmp_path, f'[engine]\nkind = "transformers"\nmodel = "{name}"\n', name)
            for name in ("large", "small")
        ]
        assert way_to_compare(*sides) == "twice"

    def test_regions_are_part_of_what_is_decoded(self, tmp_path: Path) -> None:
        first = side(tmp_path, "")
        region = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
        second = replace(first, plan=replace(first.plan, ignore=(region,)))
        assert way_to_compare(first, second) == "loaded_once"


class TestUnder:
    def recorded(self, scores: Sequence[float]) -> Recorded:
        result = a_result("gate.mp4", scores)
        return Recorded(
            CameraName("front"), result.source, result.verdicts, result.events, (), None
        )

    def test_the_same_settings_give_the_same_events(self, tmp_path: Path) -> None:
        rules = "[events]\nclose_after_seconds = 5.0\ncooldown_seconds = 20.0\n"
        given = self.recorded([*WORRYING, *QUIET, *WORRYING])
        again = under(given, side(tmp_path, rules).plan)
        steps = [(e.type, e.start_seconds, e.suppressed_by, e.clips) for e in again.events]
        wanted = [e for e in given.events if not (e.type == "update" and e.description)]
        assert steps == [(e.type, e.start_seconds, e.suppressed_by, e.clips) for e in wanted]
        assert again.verdicts == given.verdicts

    def test_a_higher_threshold_opens_nothing(self, tmp_path: Path) -> None:
        plan = side(tmp_path, "[engine]\nthreshold = 0.95\n").plan
        again = under(self.recorded(WORRYING), plan)
        assert again.events == ()
        assert {one.label for one in again.verdicts} == {"Normal"}
        assert {one.threshold for one in again.verdicts} == {0.95}

    def test_a_clip_without_a_probability_makes_the_recording_fail(self, tmp_path: Path) -> None:
        given = self.recorded([0.9, 0.9])
        answers = {given.verdicts[0].clip_id: Answer(float("nan"))}
        again = answered(given, answers, "other-1", side(tmp_path, "").plan)
        assert again.verdicts == ()
        assert again.engine_failed
        assert again.error is not None
        assert "other-1" in again.error


class BusyTwice(FakeEngine):
    """Busy at its first two calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        self.calls += 1
        if self.calls <= 2:
            raise EngineBusy("not now")
        return await super().judge(clips)


class TestBothEngines:
    async def test_each_judges_every_clip_once_under_names_and_prompts_of_their_own(self) -> None:
        first, second = FakeEngine(), BusyTwice()
        both = BothEngines(first, second, second_prompt="A cat.")
        await both.start()
        both.instruct(CameraName("front"), "A dog.")
        clips = [make_clip(1.0), make_clip(2.0)]
        answers = await both.judge(clips)
        assert len(answers) == 2
        assert list(both.answers) == [clip.clip_id for clip in clips]
        assert first.batches == [[clip.clip_id for clip in clips]]
        assert second.batches == first.batches
        assert first.prompts == {"front": "A dog."}
        assert second.prompts == {twin(CameraName("front")): "A cat."}
        await both.close()
        assert (first.closed, second.closed) == (1, 1)

    async def test_one_engine_is_started_and_closed_once(self) -> None:
        engine = FakeEngine()
        both = BothEngines(engine, engine, second_prompt="A cat.")
        await both.start()
        both.instruct(CameraName("front"), "A dog.")
        await both.judge([make_clip(1.0)])
        await both.close()
        assert (engine.started, engine.closed) == (1, 1)
        assert set(engine.prompts.values()) == {"A dog.", "A cat."}


class TestComparison:
    def test_what_a_user_is_told_otherwise_is_named(self) -> None:
        pairs = comparison([WORRYING, QUIET, WORRYING], [QUIET, WORRYING, WORRYING]).pairs
        assert [one.change for one in pairs] == ["event gone", "new event", None]

    def test_labels_say_whether_it_is_better(self) -> None:
        labels = [CRASH, CALM, CRASH]
        compared = comparison([WORRYING, WORRYING, QUIET], [QUIET, QUIET, QUIET], labels)
        assert [one.verdict for one in compared.pairs] == ["worse", "better", None]

    def test_a_recording_that_failed_counts_for_no_agreement(self) -> None:
        broken = a_result("x.mp4", WORRYING, error="is broken")
        whole = a_result("x.mp4", WORRYING)
        assert Pair(whole, broken).change == "failed"
        compared = replace(
            comparison([QUIET], [QUIET]), first=a_replay(whole), second=a_replay(broken)
        )
        assert (compared.judged, compared.agreement) == (0, None)

    def test_an_event_elsewhere_is_another_one(self) -> None:
        early, late = [*WORRYING, *QUIET], [*QUIET, *WORRYING]
        assert comparison([early], [late]).pairs[0].change == "other times"

    def test_the_document_counts_events_alerts_and_agreement(self) -> None:
        # The second event is within the cooldown of the first: it is recorded, and nobody is told
        twice = [0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1]
        shown = document(comparison([twice, QUIET], [QUIET, QUIET], [CRASH, CALM]))
        assert (shown["a"]["events"], shown["a"]["alerts"]) == (2, 1)
        assert (shown["b"]["events"], shown["b"]["alerts"]) == (0, 0)
        assert shown["agreement"] == 0.5
        assert shown["changed"] == 1
        assert shown["differing"] == {"engine.threshold": {"a": 0.5, "b": 0.7}}
        assert shown["results"][0]["verdict"] == "worse"
        assert json.loads(json.dumps(shown, allow_nan=False)) == shown
        assert alerts(comparison([twice], [QUIET]).first) == 1

    def test_the_page_escapes_and_asks_for_nothing(self) -> None:
        hostile = replace(comparison([WORRYING], [QUIET]), first_name="<script>alert(1)</script>")
        page = render(hostile)
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert "default-src 'none'" in page
        assert "http" not in page.replace("http-equiv", "")
        assert "event gone" in page

    def test_differences_name_the_settings_and_no_secret(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("hush-hush")
        token.chmod(0o600)
        first = side(tmp_path, "")
        second = side(
            tmp_path,
            f'[engine]\nkind = "remote"\nurl = "http://h/v1"\ntoken_file = "{token}"\n'
            "threshold = 0.7\n[events]\nclose_below = 0.2\n",
            "b",
        )
        found = differing((first.settings, first.plan), (second.settings, second.plan))
        assert found["engine.threshold"] == (0.5, 0.7)
        assert found["events.close_below"] == (None, 0.2)
        assert "clips.fps" not in found
        assert "hush-hush" not in json.dumps(found)
        plain = Settings()
        assert differing((plain, plain.plan_for(None)), (plain, plain.plan_for(None))) == {}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage(tmp_path_factory.mktemp("footage") / "bursts.mp4")


class TestCommand:
    """The whole command, with real video and the built-in engine."""

    def settings(self, folder: Path, name: str, **sections: dict[str, Any]) -> Path:
        place = folder / name
        place.mkdir()
        return write_settings(place, broker_port=None, sections=sections)

    def run(self, capsys: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
        assert main([*map(str, argv), "--json"]) == 0
        shown: dict[str, Any] = json.loads(capsys.readouterr().out)
        return shown

    @pytest.mark.parametrize(
        ("sections", "way"),
        [
            (NEVER, "once"),
            (NEVER | {"engine": {"threshold": 0.3, "max_batch": 2}}, "decoded_once"),
            (NEVER | {"clips": {"stride_seconds": 0.25}}, "loaded_once"),
            (NEVER | {"clips": {"stride_seconds": 0.25}, "engine": {"max_batch": 2}}, "twice"),
        ],
    )
    def test_every_way_ends_in_what_each_side_gives_alone(
        self,
        tmp_path: Path,
        video: Path,
        capsys: pytest.CaptureFixture[str],
        sections: dict[str, dict[str, Any]],
        way: str,
    ) -> None:
        config = self.settings(tmp_path, "a")
        other = self.settings(tmp_path, "b", **sections)
        report = tmp_path / "out"
        both = self.run(capsys, video, "--config", config, "--settings", other, "--report", report)
        assert both["how"] == way
        assert both["a"]["events"] > 0
        assert both["b"]["events"] == 0
        assert both["results"][0]["change"] == "event gone"
        for name, file in (("a", config), ("b", other)):
            alone = tmp_path / f"alone-{name}"
            self.run(capsys, video, "--config", file, "--report", alone)
            verdicts = (alone / "verdicts.jsonl").read_text()
            assert (report / name / "verdicts.jsonl").read_text() == verdicts
        assert json.loads((report / "comparison.json").read_text())["changed"] == 1
        assert "a/report.html" in (report / "compare.html").read_text()

    def test_a_file_that_cannot_be_read_is_told_for_both(
        self, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = self.settings(tmp_path, "a")
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(b"no video")
        argv = [video, broken, "--config", config, "--settings", config]
        assert main([*map(str, argv)]) == 1
        out = capsys.readouterr().out
        assert "A failed" in out
        assert "B failed" in out
        assert "Nothing differs." in out

    def test_wrong_settings_on_either_side_are_refused(
        self, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = tmp_path / "wrong.toml"
        wrong.write_text("[evnts]\n")
        assert main([str(video), "--settings", str(wrong)]) == 78
        assert "evnts" in capsys.readouterr().err

    @pytest.mark.parametrize("more", [["--publish"], ["--to", "/x.sock"]])
    def test_nothing_is_published_and_no_daemon_asked(
        self, video: Path, capsys: pytest.CaptureFixture[str], more: list[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main([str(video), "--settings", "other.toml", *more])
        assert "leave out --to and --publish" in capsys.readouterr().err
