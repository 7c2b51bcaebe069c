"""MME in its official layout: a folder a category, two yes-or-no questions a picture.

Source: BradyFU/Awesome-Multimodal-Large-Language-Models, MME_Benchmark_release_version: in some
categories pictures and texts lie side by side, in others in images/ and questions_answers_YN/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.files import name_below
from edgewatch.tools.vqa.mme_categories import CATEGORIES
from edgewatch.tools.vqa.pictures import FilePicture
from edgewatch.tools.vqa.questions import PictureQuestion, PictureSource, TaskData, Wording
from edgewatch.tools.vqa.wording import yes_or_no

HOW = (
    "folders existence, count, …, code_reasoning with a picture and a .txt of "
    '"question<tab>Yes" lines each (MME_Benchmark_release_version)'
)
_NESTED = ("", "MME_Benchmark_release_version", "MME_Benchmark", "MME")
_PICTURES = (".jpg", ".png", ".jpeg", ".webp", ".bmp")


def read_mme(folder: Path, wording: Wording, limit: int | None) -> TaskData | None:
    """Read the official layout below a folder; None if it is not there. Raises ConfigError."""
    root = _root(folder)
    if root is None:
        return None
    present = [category for category in CATEGORIES if (root / category).is_dir()]
    every = list(_questions(root, present, wording))
    if not every:
        raise ConfigError(f"{root}: its categories hold no questions; wanted are {HOW}")
    missing = [category for category in CATEGORIES if category not in present]
    notes = (f"categories that are not there: {', '.join(missing)}",) if missing else ()
    return TaskData(
        task="mme",
        name=str(folder),
        layout="MME's official folders",
        wording=wording,
        questions=tuple(islice(every, limit)),
        available=len(every),
        notes=notes,
    )


def question_of(
    number: str, picture: PictureSource, asked: str, answer: str, category: str, wording: Wording
) -> PictureQuestion:
    """Make a question. Raises ValueError if its answer is neither Yes nor No."""
    answer = answer.strip()
    if answer.lower() not in ("yes", "no"):
        raise ValueError(f"the answer {answer!r} is neither Yes nor No")
    return PictureQuestion(
        id=number,
        picture=picture,
        question=asked,
        asked=yes_or_no(asked, wording),
        references=(answer,),
        kinds=(("category", category),),
    )


def _root(folder: Path) -> Path | None:
    for first in _NESTED:
        for second in _NESTED:
            root = folder / first / second
            if any((root / category).is_dir() for category in CATEGORIES):
                return root
    return None


def _questions(root: Path, present: Sequence[str], wording: Wording) -> Iterator[PictureQuestion]:
    for category in present:
        folder = root / category
        texts = folder / "questions_answers_YN"
        pictures = folder / "images"
        if not texts.is_dir():
            texts = pictures = folder
        for text in sorted(texts.glob("*.txt")):
            yield from _of_text(text, pictures, category, wording, root)


def _of_text(
    text: Path, pictures: Path, category: str, wording: Wording, root: Path
) -> Iterator[PictureQuestion]:
    picture = next(
        (
            file
            for suffix in _PICTURES
            for file in (
                pictures / f"{text.stem}{suffix}",
                pictures / f"{text.stem}{suffix.upper()}",
            )
            if file.is_file()
        ),
        None,
    )
    if picture is None:
        raise ConfigError(f"{text}: there is no picture {text.stem}.jpg or .png in {pictures}")
    source = FilePicture(picture, name_below(picture, root))
    try:
        lines = text.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{text}: cannot be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        asked, tab, answer = line.rpartition("\t")
        try:
            if not tab or not asked.strip():
                raise ValueError("it is no question, tab, and Yes or No")
            yield question_of(
                f"{source.name}#{number}", source, asked.strip(), answer, category, wording
            )
        except ValueError as error:
            raise ConfigError(f"{text}, line {number}: {error}") from error
