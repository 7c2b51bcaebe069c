"""A task run: engine after engine is asked every question, each reply kept as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.evaluation.choice import EngineChoice
from edgewatch.tools.vqa.journal import ReplyJournal
from edgewatch.tools.vqa.limits import sides_of
from edgewatch.tools.vqa.progress import TaskProgress
from edgewatch.tools.vqa.questions import TaskData
from edgewatch.tools.vqa.respondent import MOST_TOKENS, MakeModel, Respondent
from edgewatch.tools.vqa.results import Reply, TaskResult, TaskRun
from edgewatch.tools.vqa.scoring import figures_of, worths_of


def run_task(
    data: TaskData,
    choices: Sequence[EngineChoice],
    *,
    pixels: str | int = "model",
    most_tokens: int = MOST_TOKENS,
    journal: Path | None = None,
    shown: bool = False,
    seed: int = 0,
    make_model: MakeModel = create_model,
) -> TaskResult:
    """Ask each engine every question. Raises ConfigError, EngineFailed.

    `pixels`: see `limits.sides_of`. `journal`: what is kept there is not asked again. `shown`:
    draw progress on standard error.
    """
    respondents = [
        Respondent(choice, sides_of(choice.settings, pixels), most_tokens, make_model)
        for choice in choices
    ]  # all, so that an engine without words is refused before hours of asking
    with ReplyJournal(journal) as kept:
        total = len(data.questions) * len(respondents)
        with TaskProgress(total, shown=shown) as progress:
            runs = [asyncio.run(_run(data, one, kept, progress, seed)) for one in respondents]
    return TaskResult(data, tuple(runs), time.time())


async def _run(
    data: TaskData,
    respondent: Respondent,
    journal: ReplyJournal,
    progress: TaskProgress,
    seed: int,
) -> TaskRun:
    progress.step(f"loading {respondent.choice.name}")
    try:
        await respondent.start()
        began_seconds = time.monotonic()
        replies, asked_now = await _replies(data, respondent, journal, progress)
        wall_seconds = time.monotonic() - began_seconds
    finally:
        await respondent.close()
    worths = worths_of(data, replies)
    return TaskRun(
        name=respondent.choice.name,
        engine=respondent.engine,
        simulated=respondent.simulated,
        pictures=respondent.sides.said,
        most_tokens=respondent.most_tokens,
        load_seconds=respondent.load_seconds,
        wall_seconds=wall_seconds,
        asked_now=asked_now,
        replies=tuple(replies),
        worths=worths,
        figures=figures_of(data, worths, seed=seed),
    )


async def _replies(
    data: TaskData, respondent: Respondent, journal: ReplyJournal, progress: TaskProgress
) -> tuple[list[Reply], int]:
    """Return replies in order, and how many were asked for now."""
    replies: dict[int, Reply] = {}
    waiting: list[tuple[int, str]] = []
    for place, question in enumerate(data.questions):
        try:
            key = respondent.key(question)
        except OSError as error:
            replies[place] = Reply(None, reason=f"{question.picture.name}: {error.strerror}")
            continue
        known = journal.reply(key)
        if known is None:
            waiting.append((place, key))
        else:
            replies[place] = known
    progress.known(len(replies))
    asked_now = len(waiting)
    line = iter(waiting)

    async def ask() -> None:
        for place, key in line:  # shared: each takes the next
            question = data.questions[place]
            reply = await respondent.reply(question)
            replies[place] = reply
            if reply.text is not None:
                journal.note(key, reply)
            progress.replied(question.id, reply.text)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(respondent.at_once):
                tasks.create_task(ask(), name=f"ask {number}")
    except* EngineFailed as failures:
        raise _first(failures) from failures
    return [replies[place] for place in range(len(data.questions))], asked_now


def _first(failures: BaseExceptionGroup[EngineFailed]) -> EngineFailed:
    one = failures.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
