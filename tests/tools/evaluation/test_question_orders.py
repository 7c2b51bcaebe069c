"""Models asked in both orders: which engines, and the decision from recordings to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings, load_settings
from edgewatch.pipeline.engine_setup import engine_setup, questions_of
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.types import Clip
from edgewatch.tools.evaluation.choice import read_choices
from edgewatch.tools.evaluation.dataset import read_dataset
from edgewatch.tools.evaluation.question_orders import compared_orders, in_both_orders
from edgewatch.tools.evaluation.reporting.report import write_evaluation
from edgewatch.tools.evaluation.running import evaluate
from edgewatch.tools.evaluation.statistics.measures import compare_runs, measure_run
from tests.fakes.engine import FakeEngine
from tests.fakes.videos import drifting_bar, noisy_scene, write_video


def settings(**engine: Any) -> Settings:
    clips = {"fps": 4.0, "seconds": 1.0, "stride_seconds": 0.5, "pixels": 12_544}
    overrides = {"clips": clips, "engine": engine}
    return load_settings(environ={}, overrides=overrides, default_files=())


def test_each_model_is_asked_in_both_orders() -> None:
    base = settings()
    choices = read_choices(["builtin", "a=transformers:/m", "b=native:/m", "remote:http://h"], base)
    builtin, *both, remote = in_both_orders(choices)
    assert [(one.name, one.settings.engine.question_first) for one in both] == [
        ("a", False),
        ("a (question first)", True),
        ("b", False),
        ("b (question first)", True),
    ]
    assert (builtin, remote) == (choices[0], choices[3])
    for one in both:
        setup = engine_setup(one.settings, baseline_dir=None)
        assert setup.form.question_first == one.settings.engine.question_first
        assert setup.calibration is None
    assert questions_of(both[0].settings, ["x"]) != questions_of(both[1].settings, ["x"])


def test_an_order_that_a_server_would_not_keep_is_refused() -> None:
    with pytest.raises(ConfigError, match="question_first"):
        settings(kind="remote", url="http://h/v1", question_first=True)


def test_an_engine_that_does_not_read_has_no_order() -> None:
    with pytest.raises(ConfigError, match="builtin"):
        in_both_orders(read_choices(["builtin", "remote:http://h/v1"], settings()))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        for name, draw in ((f"Anom_{number}", noisy_scene), (f"Norm_{number}", drifting_bar)):
            write_video(
                folder / f"{name}.mp4",
                width=64 + 32 * number,
                frames=20,
                draw=draw,
                created=None,
            )
    return folder


def test_both_orders_judge_the_same_clips_and_the_report_says_which_to_set(
    videos: Path, tmp_path: Path
) -> None:
    def make(setup: EngineSetup) -> FakeEngine:
        def answer(clip: Clip) -> float:
            seen = min(1.0, float(clip.stacked().std()) / 128.0)
            return 1.0 - seen if setup.form.question_first else seen

        return FakeEngine(answer, max_batch=setup.max_batch)

    choices = in_both_orders(read_choices(["m=transformers:/m"], settings()))
    evaluation = evaluate(read_dataset(videos), choices, make_engine=make)
    (found,) = compared_orders(evaluation, seed=0)
    behind, first = evaluation.runs
    assert (found.engine, found.items) == ("m", 4)
    assert found.roc_auc.first == pytest.approx(1.0 - (found.roc_auc.behind or 0.0))
    measures = [measure_run(one, resamples=50) for one in evaluation.runs]
    pairs = [compare_runs(behind, first)]
    write_evaluation(evaluation, measures, pairs, tmp_path, orders=(found,))
    (told,) = json.loads((tmp_path / "summary.json").read_text())["question_orders"]
    assert told["decision"] == found.decision
    assert told["roc_auc"]["difference"]["low"] is not None
    assert "Question behind or before the video" in (tmp_path / "report.md").read_text()
