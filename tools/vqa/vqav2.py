"""VQAv2 in its official files: questions and annotations in JSON, COCO's pictures as files.

Source of the format: https://visualqa.org/vqa_v2_teaser.html and GT-Vision-Lab/VQA.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.files import files_below, first_below, name_below, read_json
from edgewatch.tools.vqa.pictures import FilePicture
from edgewatch.tools.vqa.questions import PictureQuestion, PictureSource, TaskData, Wording
from edgewatch.tools.vqa.wording import short_answer

_QUESTIONS = re.compile(r"v2_OpenEnded_mscoco_(?P<split>\w+)_questions\.json")
_PREFERRED = "val2014"
"""Of several splits. The test splits have no annotations."""
HOW = (
    "v2_OpenEnded_mscoco_val2014_questions.json, v2_mscoco_val2014_annotations.json and the "
    "pictures COCO_val2014_000000xxxxxx.jpg (visualqa.org/download.html)"
)


def read_vqav2(folder: Path, wording: Wording, limit: int | None) -> TaskData | None:
    """Read the official files below a folder; None if they are not there. Raises ConfigError."""
    found = list(files_below(folder, lambda name: bool(_QUESTIONS.fullmatch(name))))
    if not found:
        return None
    file = next((one for one in found if _split_of(one) == _PREFERRED), found[0])
    split = _split_of(file)
    name = f"v2_mscoco_{split}_annotations.json"
    annotations = first_below(folder, lambda other: other == name)
    if annotations is None:
        raise ConfigError(f"{folder}: {file.name} is there, and {name} is not: put it beside it")
    asked = _listed(file, "questions")
    kept = asked if limit is None else asked[:limit]
    answers = {one.get("question_id"): one for one in _listed(annotations, "annotations")}
    pictures = _pictures(folder, split, kept)
    questions = tuple(
        question_of(one, answers.get(one.get("question_id")), pictures, wording, annotations)
        for one in kept
    )
    return TaskData(
        task="vqav2",
        name=str(folder),
        layout=f"VQAv2's official files, split {split}",
        wording=wording,
        questions=questions,
        available=len(asked),
    )


def question_of(
    asked: Mapping[str, Any],
    annotation: Mapping[str, Any] | None,
    pictures: Mapping[int, PictureSource],
    wording: Wording,
    where: Path,
) -> PictureQuestion:
    """Make a question of the two entries that are about it. Raises ConfigError."""
    try:
        number = asked["question_id"]
        if annotation is None:
            raise ConfigError(f"{where}: has no answers to question {number}")
        answers = tuple(str(one["answer"]) for one in annotation["answers"])
        if not answers:
            raise ConfigError(f"{where}: question {number} has no answers: is it a test split?")
        return PictureQuestion(
            id=str(number),
            picture=pictures[int(asked["image_id"])],
            question=str(asked["question"]),
            asked=short_answer(str(asked["question"]), wording),
            references=answers,
            kinds=(
                ("answer type", str(annotation["answer_type"])),
                ("question type", str(annotation["question_type"])),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: an entry is not as VQAv2's are ({error!r})") from error


def _split_of(file: Path) -> str:
    found = _QUESTIONS.fullmatch(file.name)
    return found["split"] if found else ""


def _listed(file: Path, key: str) -> Sequence[Mapping[str, Any]]:
    entries = read_json(file).get(key)
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise ConfigError(f'{file}: has no list "{key}" of objects')
    return entries


def _pictures(
    folder: Path, split: str, asked: Iterable[Mapping[str, Any]]
) -> Mapping[int, PictureSource]:
    """Find the pictures that are asked about. Raises ConfigError if one is not there."""
    name = re.compile(rf"COCO_{re.escape(split)}_(\d{{12}})\.(?:jpg|jpeg|png)")
    there: dict[int, PictureSource] = {}
    for file in files_below(folder, lambda other: bool(name.fullmatch(other))):
        number = int(file.name.rpartition("_")[2].partition(".")[0])
        there.setdefault(number, FilePicture(file, name_below(file, folder)))
    missing = sorted({int(one.get("image_id", -1)) for one in asked} - there.keys())
    if missing:
        raise ConfigError(
            f"{folder}: {len(missing)} pictures are not there, the first is "
            f"COCO_{split}_{missing[0]:012d}.jpg; unpack {split}.zip of COCO below it, or ask "
            "fewer questions with --limit"
        )
    return there
