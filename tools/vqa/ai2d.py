"""AI2D in its official layout: diagrams, multiple choice, letters written over labels.

Source: Kembhavi et al., "A Diagram Is Worth A Dozen Images", ECCV 2016; ai2d-all.zip and
ai2d_test_ids.csv of the Allen Institute (prior.allenai.org/projects/diagram-understanding). Of a
question with "abcLabel" the options are letters that stand in the diagram instead of its texts:
they are written there as the annotations say ("replacementText", "rectangle"), as big_vision's
converter does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.files import first_below, name_below, read_json
from edgewatch.tools.vqa.pictures import FilePicture
from edgewatch.tools.vqa.questions import (
    Mark,
    PictureQuestion,
    PictureSource,
    TaskData,
    Wording,
)
from edgewatch.tools.vqa.wording import MOST_OPTIONS, labels_of, multiple_choice

TEST_IDS = "ai2d_test_ids.csv"
HOW = f"ai2d/images, ai2d/annotations, ai2d/questions/*.json (ai2d-all.zip), and {TEST_IDS}"
_NO_OPTION = "{}"
"""Stands for an option that is none."""


def read_ai2d(folder: Path, wording: Wording, limit: int | None) -> TaskData | None:
    """Read the official layout below a folder; None if it is not there. Raises ConfigError."""
    roots = [root for root in (folder, folder / "ai2d") if (root / "questions").is_dir()]
    if not roots:
        return None
    reader = _Reader(roots[0], folder, wording, _test_ids(folder))
    every = list(reader.questions())
    if not every:
        raise ConfigError(f"{folder}: no question is about a diagram of the test split; see {HOW}")
    return TaskData(
        task="ai2d",
        name=str(folder),
        layout="AI2D's official folders",
        wording=wording,
        questions=tuple(islice(every, limit)),
        available=len(every),
        notes=reader.notes(every),
    )


def choice_of(
    number: str,
    picture: PictureSource,
    asked: str,
    options: tuple[str, ...],
    correct: int,
    wording: Wording,
) -> PictureQuestion:
    """Make a question. Raises ValueError if the right option is none of them."""
    if not 0 <= correct < len(options) <= MOST_OPTIONS:
        raise ValueError(f"{correct} is none of {len(options)} options")
    return PictureQuestion(
        id=number,
        picture=picture,
        question=asked,
        asked=multiple_choice(asked, options, wording),
        references=(options[correct],),
        options=options,
        labels=labels_of(len(options), wording),
        correct=correct,
    )


@dataclass(slots=True)
class _Reader:
    root: Path
    folder: Path
    wording: Wording
    test: frozenset[str] | None
    """Diagrams of the test split, without extension; None: it is not known."""
    without_letters: int = 0

    def questions(self) -> Iterator[PictureQuestion]:
        """Yield questions diagram by diagram, in order of their numbers. Raises ConfigError."""
        for file in sorted((self.root / "questions").glob("*.json"), key=_order):
            if self.test is None or _stem(file.name) in self.test:
                yield from self._of_diagram(file)

    def notes(self, every: list[PictureQuestion]) -> tuple[str, ...]:
        """Say what else there is to know."""
        found = []
        if self.test is None:
            found.append(
                f"{TEST_IDS} is not there: all diagrams are asked about, those of the training "
                "split too; published figures are of the test split"
            )
        if self.without_letters:
            found.append(
                f"{self.without_letters} of {len(every)} questions are about letters that are not "
                "in the diagram, as its annotations are missing"
            )
        return tuple(found)

    def _of_diagram(self, file: Path) -> Iterator[PictureQuestion]:
        document = read_json(file)
        try:
            name = Path(str(document["imageName"])).name
            for asked, about in document["questions"].items():
                options, correct = _options(about["answerTexts"], int(about["correctAnswer"]))
                picture = self._picture(name, lettered=bool(about.get("abcLabel")))
                number = str(about["questionId"])
                yield choice_of(number, picture, asked, options, correct, self.wording)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise ConfigError(f"{file}: is not as AI2D's questions are ({error!r})") from error

    def _picture(self, name: str, *, lettered: bool) -> FilePicture:
        file = self.root / "images" / name
        drawn = self.root / "abc_images" / name
        marks: tuple[Mark, ...] = ()
        if lettered and drawn.is_file():
            file = drawn
        elif lettered:
            marks = _marks(self.root / "annotations" / f"{name}.json")
            self.without_letters += not marks
        if not file.is_file():
            raise ConfigError(f"{file}: the diagram is not there; unpack ai2d-all.zip whole")
        return FilePicture(file, name_below(file, self.folder), marks)


def _options(texts: list[Any], correct: int) -> tuple[tuple[str, ...], int]:
    """Return options without those that are none, or are there twice, and the right one."""
    right = str(texts[correct])
    kept = dict.fromkeys(str(text) for text in texts if str(text) != _NO_OPTION or text == right)
    return tuple(kept), list(kept).index(right)


def _marks(annotations: Path) -> tuple[Mark, ...]:
    if not annotations.is_file():
        return ()
    texts: Mapping[str, Any] = read_json(annotations).get("text") or {}
    try:
        return tuple(_mark(one) for one in texts.values())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{annotations}: is not as AI2D's annotations are ({error!r})") from error


def _mark(text: Mapping[str, Any]) -> Mark:
    (left, top), (right, bottom) = text["rectangle"]
    return Mark(str(text["replacementText"]), int(left), int(top), int(right), int(bottom))


def _test_ids(folder: Path) -> frozenset[str] | None:
    file = first_below(folder, lambda name: name == TEST_IDS)
    if file is None and (folder.parent / TEST_IDS).is_file():
        file = folder.parent / TEST_IDS
    if file is None:
        return None
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read ({error})") from error
    cells = (line.split(",")[0].strip().strip('"') for line in lines)
    return frozenset(_stem(cell) for cell in cells if cell)


def _stem(name: str) -> str:
    """Return "17" of "17.png.json" and "17.png"."""
    return name.partition(".")[0]


def _order(file: Path) -> tuple[int, str]:
    stem = _stem(file.name)
    return (int(stem) if stem.isdigit() else 0, file.name)
