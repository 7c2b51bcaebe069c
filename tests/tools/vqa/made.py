"""Small data sets in the official layouts, and a model that replies as a test wants it."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgewatch.config.settings import load_settings
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer
from edgewatch.tools.evaluation.choice import EngineChoice, read_choice

TEN_YES = ["yes"] * 10
VQA = (
    (1, 42, "Is it red", "yes/no", "is it", TEN_YES),
    (2, 42, "How many dogs?", "number", "how many", ["2"] * 6 + ["two", "3", "3", "4"]),
    (3, 73, "What is on the table?", "other", "what is", ["a red cup"] * 2 + ["cup"] * 8),
)
"""(question id, image id, question, answer type, question type, answers)."""


def jpeg(width: int = 60, height: int = 40, seed: int = 0) -> bytes:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels.repeat(4, axis=0).repeat(4, axis=1)).save(out, "JPEG", quality=95)
    return out.getvalue()


def write(path: Path, content: bytes | str | Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def vqa_row(entry: tuple[int, int, str, str, str, list[str]]) -> dict[str, Any]:
    number, image, question, answer_type, question_type, answers = entry
    return {
        "question_id": number,
        "image_id": image,
        "question": question,
        "answer_type": answer_type,
        "question_type": question_type,
        "multiple_choice_answer": Counter(answers).most_common(1)[0][0],
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": place}
            for place, answer in enumerate(answers, 1)
        ],
    }


def make_vqav2(folder: Path, entries: Sequence[Any] = VQA) -> Path:
    rows = [vqa_row(one) for one in entries]
    asked = [{key: row[key] for key in ("image_id", "question", "question_id")} for row in rows]
    given = [{key: one for key, one in row.items() if key != "question"} for row in rows]
    write(folder / "v2_OpenEnded_mscoco_val2014_questions.json", {"questions": asked})
    write(folder / "v2_mscoco_val2014_annotations.json", {"annotations": given})
    for image in {row["image_id"] for row in rows}:
        write(folder / "val2014" / f"COCO_val2014_{image:012d}.jpg", jpeg(seed=image))
    return folder


def make_mme(folder: Path, pictures: int = 2) -> Path:
    """Two categories, one of each way to store them; two questions a picture."""
    for number in range(pictures):
        please = "Please answer yes or no."
        text = f"Is it {number}? {please}\tYes\nIs it red? {please}\tNo\n"
        write(folder / "count" / f"{number:04d}.png", jpeg(seed=number))
        write(folder / "count" / f"{number:04d}.txt", text)
        write(folder / "artwork" / "images" / f"{number:05d}.jpg", jpeg(seed=number + 9))
        write(folder / "artwork" / "questions_answers_YN" / f"{number:05d}.txt", text)
    return folder


def make_ai2d(folder: Path, *, test_ids: str | None = "7\n10\n") -> Path:
    root = folder / "ai2d"
    for number in (7, 10, 11):
        write(root / "images" / f"{number}.png", jpeg(64, 64, number))
        write(
            root / "questions" / f"{number}.png.json",
            {
                "imageName": f"{number}.png",
                "questions": {
                    f"What eats diagram {number}?": {
                        "abcLabel": False,
                        "answerTexts": ["grass", "owl", "2", "sun"],
                        "correctAnswer": 1,
                        "questionId": f"{number}.png-0",
                    },
                    "Which letter is the leaf": {
                        "abcLabel": True,
                        "answerTexts": ["C", "A", "{}", "B"],
                        "correctAnswer": 3,
                        "questionId": f"{number}.png-1",
                    },
                },
            },
        )
        text = {"replacementText": "B", "rectangle": [[8, 8], [40, 32]], "value": "leaf"}
        write(root / "annotations" / f"{number}.png.json", {"text": {"T0": text}})
    if test_ids is not None:
        write(folder / "ai2d_test_ids.csv", test_ids)
    return folder


def model_choice(name: str = "tiny", **keys: Any) -> EngineChoice:
    more = "".join(f",{key}={json.dumps(value)}" for key, value in keys.items())
    return read_choice(f"{name}=transformers:/no/such/model{more}", load_settings(environ={}))


class TalkingModel:
    """Replies to a question as a function says; it may be busy, or fail."""

    name = "talking@1"
    max_batch = 1

    def __init__(self, reply: Callable[[str], str] = lambda asked: "yes") -> None:
        self.reply = reply
        self.asked: list[AskedClip] = []
        self.busy = 0
        self.fails_from: int | None = None
        self.starts = 0
        self.setup: EngineSetup | None = None

    def made_of(self, setup: EngineSetup) -> TalkingModel:
        self.setup = setup
        return self

    async def start(self) -> None:
        self.starts += 1

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        raise AssertionError("only words are asked for")

    async def words(self, clip: AskedClip) -> str:
        if self.busy:
            self.busy -= 1
            raise EngineBusy("clips wait")
        if self.fails_from is not None and len(self.asked) >= self.fails_from:
            raise EngineFailed("the device is lost")
        self.asked.append(clip)
        return self.reply(clip.question)

    async def close(self) -> None:
        return None
