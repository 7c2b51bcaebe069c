"""Data sets in their official layouts, and as lmms-lab publishes them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.pictures import Sides, still_of
from edgewatch.tools.vqa.questions import TaskName
from edgewatch.tools.vqa.reading import read_task
from tests.tools.vqa.made import VQA, jpeg, make_ai2d, make_mme, make_vqav2, vqa_row, write

SIDES = Sides(784, 1_000_000, "test")


def test_vqav2_is_read_from_its_official_files(tmp_path: Path) -> None:
    data = read_task("vqav2", make_vqav2(tmp_path))
    assert [one.id for one in data.questions] == ["1", "2", "3"]
    first, second, third = data.questions
    assert first.asked == "Is it red?\nAnswer the question using a single word or phrase."
    assert first.kinds == (("answer type", "yes/no"), ("question type", "is it"))
    assert second.references == tuple(VQA[1][5])
    assert third.picture.name == "val2014/COCO_val2014_000000000073.jpg"
    assert still_of(third.picture, SIDES).shape == (2, 28, 56, 3)
    assert not data.limited
    assert "val2014" in data.layout


def test_limit_takes_the_first_questions_and_needs_their_pictures_alone(tmp_path: Path) -> None:
    make_vqav2(tmp_path)
    (tmp_path / "val2014" / "COCO_val2014_000000000073.jpg").unlink()
    data = read_task("vqav2", tmp_path, limit=2)
    assert (len(data.questions), data.available, data.limited) == (2, 3, True)
    with pytest.raises(ConfigError, match=r"1 pictures are not there.*000000000073.jpg.*--limit"):
        read_task("vqav2", tmp_path)


def test_mme_is_read_in_both_of_its_layouts(tmp_path: Path) -> None:
    data = read_task("mme", make_mme(tmp_path / "MME_Benchmark_release_version").parent)
    assert len(data.questions) == 8
    assert [one.kind("category") for one in data.questions[::4]] == ["count", "artwork"]
    first, last = data.questions[0], data.questions[-1]
    assert first.asked == "Is it 0? Please answer yes or no."
    assert (first.references, last.references) == (("Yes",), ("No",))
    assert first.picture.name == "count/0000.png"
    assert last.picture.name == "artwork/images/00001.jpg"
    assert data.notes[0].startswith("categories that are not there: existence, position")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Is it?\tPerhaps\n", r"0000.txt, line 1: .*neither Yes nor No"),
        ("Is it? Yes\n", r"0000.txt, line 1: it is no question, tab"),
    ],
)
def test_broken_line_of_mme_is_named(tmp_path: Path, text: str, told: str) -> None:
    make_mme(tmp_path)
    write(tmp_path / "count" / "0000.txt", text)
    with pytest.raises(ConfigError, match=told):
        read_task("mme", tmp_path)
    (tmp_path / "count" / "0000.png").unlink()
    with pytest.raises(ConfigError, match="there is no picture 0000"):
        read_task("mme", tmp_path)


def test_ai2d_asks_about_the_test_split(tmp_path: Path) -> None:
    data = read_task("ai2d", make_ai2d(tmp_path))
    assert [one.id for one in data.questions] == ["7.png-0", "7.png-1", "10.png-0", "10.png-1"]
    first, second = data.questions[:2]
    assert first.asked == (
        "What eats diagram 7?\nA. grass\nB. owl\nC. 2\nD. sun\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert (first.correct, first.references) == (1, ("owl",))
    # An option that is none is left out.
    assert (second.options, second.correct, second.references) == (("C", "A", "B"), 2, ("B",))
    assert data.notes == ()


def test_letters_are_written_into_a_diagram_that_is_asked_about_by_letters(tmp_path: Path) -> None:
    plain, lettered = read_task("ai2d", make_ai2d(tmp_path)).questions[:2]
    shown = [still_of(one.picture, SIDES)[0].astype(int) for one in (plain, lettered)]
    changed = np.abs(shown[0] - shown[1]).max(axis=-1) > 40
    rows, columns = np.nonzero(changed)
    assert 4 <= rows.min() <= 10
    assert 25 <= rows.max() <= 36
    assert 4 <= columns.min() <= 10
    inside = shown[1][10:28, 10:36]
    assert inside.max() > 240  # white box ...
    assert inside.min() < 60  # ... black letter
    write(tmp_path / "ai2d" / "abc_images" / "7.png", jpeg(64, 64, 7))
    drawn = read_task("ai2d", tmp_path).questions[1].picture
    assert drawn.name == "ai2d/abc_images/7.png"
    assert drawn.marks == ()


def test_ai2d_says_what_it_lacks(tmp_path: Path) -> None:
    make_ai2d(tmp_path, test_ids=None)
    for file in (tmp_path / "ai2d" / "annotations").iterdir():
        file.unlink()
    split, letters = read_task("ai2d", tmp_path).notes
    assert "training split too" in split
    assert letters.startswith("3 of 6 questions are about letters")


def test_upstreams_wording_is_that_of_its_tool(tmp_path: Path) -> None:
    data = read_task("ai2d", make_ai2d(tmp_path), wording="upstream")
    assert data.questions[0].asked == "What eats diagram 7? (0) grass (1) owl (2) 2 (3) sun"
    assert data.questions[0].labels == ("0", "1", "2", "3")
    vqa = read_task("vqav2", make_vqav2(tmp_path / "v"), wording="upstream")
    assert vqa.questions[0].asked == "Is it red?"


def test_control_tokens_of_models_are_taken_apart(tmp_path: Path) -> None:
    entry = (9, 1, "What says <|image_pad|> here", "other", "what", ["nothing"] * 10)
    asked = read_task("vqav2", make_vqav2(tmp_path, [entry])).questions[0].asked
    assert "<|" not in asked
    assert asked.startswith("What says < |image_pad|> here?")


@pytest.mark.parametrize("task", ["vqav2", "mme", "ai2d"])
def test_empty_folder_tells_what_is_wanted(tmp_path: Path, task: TaskName) -> None:
    with pytest.raises(ConfigError, match=rf"holds no {task}; wanted are .*lmms-lab"):
        read_task(task, tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        read_task(task, tmp_path / "nowhere")


def test_broken_files_are_named(tmp_path: Path) -> None:
    make_vqav2(tmp_path)
    annotations = tmp_path / "v2_mscoco_val2014_annotations.json"
    annotations.write_text('{"annotations": [{"question_id": 1}]}')
    with pytest.raises(ConfigError, match=r"annotations.json: an entry is not as VQAv2's"):
        read_task("vqav2", tmp_path)
    annotations.write_text('{"annotations": []}')
    with pytest.raises(ConfigError, match="has no answers to question 1"):
        read_task("vqav2", tmp_path)
    annotations.unlink()
    with pytest.raises(ConfigError, match="put it beside it"):
        read_task("vqav2", tmp_path)
    annotations.write_text("{")
    with pytest.raises(ConfigError, match=r"annotations.json: cannot be read"):
        read_task("vqav2", tmp_path)


# lmms-lab's tables

needs_pyarrow = pytest.mark.skipif(
    find_spec("pyarrow") is None, reason="pyarrow is not installed: no tables can be read"
)


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_tables_without_pyarrow_name_it(tmp_path: Path) -> None:
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", b"PAR1")
    with pytest.raises(ConfigError, match="pip install pyarrow"):
        read_task("vqav2", tmp_path)


def rows_of(task: TaskName) -> list[dict[str, Any]]:
    picture: dict[str, Any] = {"image": {"bytes": jpeg(), "path": "x.jpg"}}
    match task:
        case "vqav2":
            return [vqa_row(one) | picture for one in VQA]
        case "mme":
            number: dict[str, Any] = {"question_id": "OCR/0001.png", "category": "OCR"}
            return [
                number | picture | {"question": f"Is it {n}? Please answer yes or no.", "answer": a}
                for n, a in enumerate(("Yes", "No"))
            ]
        case "ai2d":
            options: dict[str, Any] = {"options": ["grass", "owl", "2", "sun"], "answer": "1"}
            return [{"question": f"What eats {n}?"} | options | picture for n in range(3)]


@needs_pyarrow
@pytest.mark.parametrize("task", ["vqav2", "mme", "ai2d"])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_of_lmms_lab_are_read(tmp_path: Path, task: TaskName, kind: str) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    table = pyarrow.Table.from_pylist(rows_of(task))
    if kind == "parquet":
        split = "validation" if task == "vqav2" else "test"
        (tmp_path / "data").mkdir()
        parquet.write_table(
            table, tmp_path / "data" / f"{split}-00000-of-00001.parquet", row_group_size=2
        )
        write(tmp_path / "data" / "testdev-00000-of-00001.parquet", b"not even looked at")
    else:
        with ipc.new_stream(tmp_path / "data-00000-of-00001.arrow", table.schema) as file:
            file.write_table(table)
        write(tmp_path / "dataset_info.json", json.dumps({}))
    data = read_task(task, tmp_path, limit=2)
    assert (len(data.questions), data.available) == (2, table.num_rows)
    assert data.questions[0].asked.startswith("Is it" if task != "ai2d" else "What eats 0?\nA. gr")
    for question in data.questions:
        assert still_of(question.picture, SIDES).shape == (2, 28, 56, 3)
        assert question.picture.fingerprint
    if task == "mme":
        assert {one.picture.name for one in data.questions} == {"OCR/0001.png"}
    if task == "ai2d":
        assert data.questions[0].correct == 1
