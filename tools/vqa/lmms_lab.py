"""The copies that lmms-lab publishes: VQAv2, MME and AI2D as tables, pictures in a column.

Sources: the cards of lmms-lab/VQAv2, lmms-lab/MME and lmms-lab/ai2d on Hugging Face. They come as
parquet (`hf download`), or as arrow where `datasets` has saved them (`save_to_disk`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa import ai2d, mme
from edgewatch.tools.vqa.columns import PICTURE, StoredPicture, Table, open_table
from edgewatch.tools.vqa.files import files_below, name_below
from edgewatch.tools.vqa.questions import PictureQuestion, TaskData, TaskName, Wording
from edgewatch.tools.vqa.wording import short_answer

_SPLITS: dict[TaskName, str] = {"vqav2": "validation", "mme": "test", "ai2d": "test"}
_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "vqav2": ("question_id", "image_id", "question", "answers", "answer_type", "question_type"),
    "mme": ("question_id", "question", "answer", "category"),
    "ai2d": ("question", "options", "answer"),
}
_Row = Mapping[str, Any]


def read_lmms_lab(
    task: TaskName, folder: Path, wording: Wording, limit: int | None
) -> TaskData | None:
    """Read the tables below a folder; None if there are none. Raises ConfigError."""
    files = _files(task, folder)
    if not files:
        return None
    questions: list[PictureQuestion] = []
    available = 0
    for file in files:
        table = open_table(file)
        rows = table.texts(_COLUMNS[task])
        available += len(rows)
        room = len(rows) if limit is None else max(0, limit - len(questions))
        questions += _of_table(task, table, rows[:room], name_below(file, folder), wording)
    return TaskData(
        task=task,
        name=str(folder),
        layout=f"lmms-lab's copy, split {_SPLITS[task]}",
        wording=wording,
        questions=tuple(questions),
        available=available,
    )


def _files(task: TaskName, folder: Path) -> list[Path]:
    """Return the files of the split that has answers, in order. Raises ConfigError."""
    there = list(files_below(folder, lambda name: name.endswith((".parquet", ".arrow"))))
    if not there:
        return []
    split = _SPLITS[task]
    # "test-00000-of-00001.parquet", and not "testdev-…"
    named = [one for one in there if split in (re.split(r"[-.]", one.name)[0], one.parent.name)]
    unnamed = [one for one in there if one.name.startswith("data-")]  # what save_to_disk writes
    if not named and not unnamed:
        names = ", ".join(sorted({one.name.partition("-")[0] for one in there}))
        raise ConfigError(f"{folder}: has no files of the split {split} (there are: {names})")
    return named or unnamed


def _of_table(
    task: TaskName, table: Table, rows: list[dict[str, Any]], where: str, wording: Wording
) -> Iterator[PictureQuestion]:
    make = _MAKERS[task]
    for number, row in enumerate(rows):
        try:
            yield make(row, table, number, where, wording)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(
                f"{table.path}, row {number}: is not as {task} is published ({error!r}); its "
                f"columns are {', '.join((*_COLUMNS[task], PICTURE))}"
            ) from error


def _vqav2(row: _Row, table: Table, number: int, where: str, wording: Wording) -> PictureQuestion:
    answers = tuple(str(one["answer"]) for one in row["answers"] or ())
    if not answers:
        raise ValueError("it has no answers: is it a test split?")
    return PictureQuestion(
        id=str(row["question_id"]),
        picture=StoredPicture(table, number, f"image {row['image_id']}"),
        question=str(row["question"]),
        asked=short_answer(str(row["question"]), wording),
        references=answers,
        kinds=(
            ("answer type", str(row["answer_type"])),
            ("question type", str(row["question_type"])),
        ),
    )


def _mme(row: _Row, table: Table, number: int, where: str, wording: Wording) -> PictureQuestion:
    category, name = str(row["category"]), str(row["question_id"])
    picture = StoredPicture(table, number, name if "/" in name else f"{category}/{name}")
    return mme.question_of(
        f"{picture.name}#{number}",
        picture,
        str(row["question"]),
        str(row["answer"]),
        category,
        wording,
    )


def _ai2d(row: _Row, table: Table, number: int, where: str, wording: Wording) -> PictureQuestion:
    options = tuple(str(option) for option in row["options"])
    picture = StoredPicture(table, number, f"{where} row {number}")
    return ai2d.choice_of(
        f"{where}#{number}", picture, str(row["question"]), options, int(row["answer"]), wording
    )


_Make = Callable[[_Row, Table, int, str, Wording], PictureQuestion]
_MAKERS: dict[TaskName, _Make] = {"vqav2": _vqav2, "mme": _mme, "ai2d": _ai2d}
