"""A task from the first question to the report: kept replies, busy and lost engines, refusals."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.pipeline.engines.child import ChildModel
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.evaluation.choice import read_choice
from edgewatch.tools.vqa.questions import TaskData
from edgewatch.tools.vqa.reading import read_task
from edgewatch.tools.vqa.report import print_task, task_summary, write_task
from edgewatch.tools.vqa.respondent import FAILURES_IN_A_ROW
from edgewatch.tools.vqa.results import TaskResult
from edgewatch.tools.vqa.running import run_task
from tests.fakes.tensorrt_llm.record import reported
from tests.pipeline.engines.tensorrt.checkpoint import write_checkpoint
from tests.tools.vqa.made import TalkingModel, make_ai2d, make_mme, model_choice, write


@pytest.fixture
def mme(tmp_path: Path) -> TaskData:
    return read_task("mme", make_mme(tmp_path / "mme"))


def run(data: TaskData, model: TalkingModel, **options: Any) -> TaskResult:
    return run_task(data, [model_choice()], make_model=model.made_of, **options)


def lasting(result: TaskResult) -> Any:
    """All that a summary says but times."""
    document = task_summary(result)
    del document["finished"]
    for engine in document["engines"]:
        for key in ("load_seconds", "wall_seconds", "mean_reply_seconds", "asked_now"):
            del engine[key]
    return document


def test_stills_are_asked_about_in_order_as_one_picture_each(mme: TaskData) -> None:
    model = TalkingModel()
    result = run(mme, model)
    assert [clip.question for clip in model.asked] == [one.asked for one in mme.questions]
    for clip in model.asked:
        assert clip.still
        assert clip.frames.shape == (2, 56, 84, 3)
    assert model.setup is not None
    assert (model.setup.max_batch, model.setup.judges) == (1, False)
    assert model.setup.form.words_tokens == 32
    assert model.setup.largest_clip.frames == 2
    [engine] = result.runs
    assert engine.unanswered == 0
    assert [one.read_as for one in engine.worths] == ["yes"] * 8


def test_thoughts_around_an_answer_are_not_scored(mme: TaskData) -> None:
    model = TalkingModel(lambda asked: "<think>Is it? Yes.</think>\n<answer>\nNo\n</answer>")
    assert {one.text for one in run(mme, model).runs[0].replies} == {"No"}


def test_interrupted_task_goes_on_and_ends_with_the_same_result(
    mme: TaskData, tmp_path: Path
) -> None:
    def answer(asked: str) -> str:
        return "yes" if "red" not in asked else "no"

    whole = run(mme, TalkingModel(answer))
    journal = tmp_path / "out" / "replies.jsonl"
    first = TalkingModel(answer)
    first.fails_from = 3
    with pytest.raises(EngineFailed, match="in a row without a reply: the device is lost"):
        run(mme, first, journal=journal)
    with journal.open("ab") as file:
        file.write(b'{"key": "cut of')  # the kill came in the middle of a line
    second = TalkingModel(answer)
    gone_on = run(mme, second, journal=journal)
    assert len(second.asked) == 5
    assert gone_on.runs[0].asked_now == 5
    assert lasting(gone_on) == lasting(whole)
    # Nothing is asked twice, another engine's replies are not taken for one's own.
    third = TalkingModel(answer)
    run(mme, third, journal=journal)
    assert third.asked == []
    third.name = "talking@2"
    run(mme, third, journal=journal, pixels=10_000)
    assert len(third.asked) == 8


def test_journal_of_something_else_is_refused(mme: TaskData, tmp_path: Path) -> None:
    journal = write(tmp_path / "replies.jsonl", '{"edgewatch_evaluation_journal": 1}\n')
    with pytest.raises(ConfigError, match="no journal of evaluate --task"):
        run(mme, TalkingModel(), journal=journal)
    write(journal, '{"edgewatch_replies_journal": 1}\n{"key": 3}\n')
    with pytest.raises(ConfigError, match=r"line 2: is damaged; start over with --anew"):
        run(mme, TalkingModel(), journal=journal)


def test_busy_model_is_asked_again_and_a_broken_one_started_again(mme: TaskData) -> None:
    model = TalkingModel()
    model.busy = 2
    assert run(mme, model).runs[0].unanswered == 0

    class Once(TalkingModel):
        async def start(self) -> None:
            await super().start()
            if self.starts == 2:
                self.fails_from = None

    once = Once()
    once.fails_from = 2
    assert run(mme, once).runs[0].unanswered == 0
    assert once.starts == 2


def test_picture_that_cannot_be_read_is_left_out_and_told(mme: TaskData, tmp_path: Path) -> None:
    write(tmp_path / "mme" / "count" / "0001.png", b"no picture")
    result = run(mme, TalkingModel())
    assert result.runs[0].unanswered == 2
    told = next(note for note in result.notes if "without a reply" in note)
    assert "count/0001.png cannot be read" in told


def test_engine_without_words_is_refused_with_the_cure(mme: TaskData) -> None:
    builtin = read_choice("builtin", load_settings(environ={}))
    with pytest.raises(ConfigError, match=r"cannot reply in words; name a model: --engine transf"):
        run_task(mme, [model_choice(), builtin], make_model=TalkingModel().made_of)


def test_report_holds_every_question_and_says_what_was_asked(tmp_path: Path) -> None:
    data = read_task("ai2d", make_ai2d(tmp_path / "data"), limit=3)
    talking = TalkingModel(lambda asked: "=B" if "leaf" in asked else "B. owl")
    other = TalkingModel(lambda asked: "A long story | of cats with an owl in B")
    other.name = "talking@2"
    models = iter((talking, other))
    result = run_task(
        data,
        [model_choice("one"), model_choice("two")],
        make_model=lambda setup: next(models),
    )
    page = write_task(result, tmp_path / "out")
    text = page.read_text("utf-8")
    assert "3 of 4 questions" in text
    assert "only the first 3 of 4 questions were asked" in text
    assert "rests on 2 pictures only" in text
    assert "the options with letters" in text
    assert "flatters" in text
    assert "(edgewatch's limit; the model states none)" in text
    with (tmp_path / "out" / "answers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["question_id"] for row in rows] == ["7.png-0", "7.png-1", "10.png-0"]
    assert [row["reply one"] for row in rows] == ["B. owl", "'=B", "B. owl"]  # no formula
    assert [row["worth one"] for row in rows] == ["1", "0", "1"]
    assert {row["worth two"] for row in rows} == {"0"}
    assert {row["upstream two"] for row in rows} == {"1"}  # flattered, as the summary warns
    document = json.loads((tmp_path / "out" / "summary.json").read_text())
    figures = document["engines"][1]["figures"]
    assert [one["value"] for one in figures if one["rule"] == "upstream"] == [1.0]
    assert [one["value"] for one in figures if one["measure"] == "accuracy"] == [0.0]
    assert document["example"].startswith("What eats diagram 7?\nA. grass")
    screen = io.StringIO()
    print_task(Console(width=160, file=screen), result)
    assert "66.7 %" in screen.getvalue()


def test_tensorrt_is_asked_about_images_in_its_own_process(tmp_path: Path) -> None:
    """On the strict stand-in: a picture of the right sides, its placeholder, and room for it."""
    root = Path(__file__).parents[3]
    model = write_checkpoint(tmp_path / "Cosmos-NVFP4")
    data = read_task("mme", make_mme(tmp_path / "mme"), limit=3)
    variables = {
        "PYTHONPATH": f"{root}:{root / 'tests' / 'fakes'}",
        "FAKE_TRTLLM_REPORT": str(tmp_path / "report"),
    }
    choice = read_choice(f"tensorrt:{model}", load_settings(environ={}))
    result = run_task(
        data,
        [choice],
        most_tokens=2,
        make_model=lambda setup: ChildModel(
            setup, environment=variables, limits=Limits(load_seconds=20.0)
        ),
    )
    [engine] = result.runs
    assert engine.engine.startswith("tensorrt:Cosmos-NVFP4@")
    assert [one.text for one in engine.replies] == ["A bright"] * 3
    assert reported(tmp_path / "report", "broken") == []


def test_unknown_reason_never_hides(mme: TaskData) -> None:
    """Fewer questions than the engine may fail over are told one by one."""
    few = replace(mme, questions=mme.questions[: FAILURES_IN_A_ROW - 1])
    model = TalkingModel()
    model.fails_from = 0
    result = run(few, model)
    assert {one.reason for one in result.runs[0].replies} == {"the device is lost"}
