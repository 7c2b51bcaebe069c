"""An evaluation run: every recording decoded once, judged by all engines, kept, put together."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.evaluation.assembly import Account, Rules, run_of
from edgewatch.tools.evaluation.choice import EngineChoice
from edgewatch.tools.evaluation.costs import TOGETHER
from edgewatch.tools.evaluation.dataset import Dataset, LabelledRecording
from edgewatch.tools.evaluation.duplicates import near_duplicates
from edgewatch.tools.evaluation.energy import EnergyMeter, energy_meter
from edgewatch.tools.evaluation.evaluation import Evaluation
from edgewatch.tools.evaluation.in_force import in_force
from edgewatch.tools.evaluation.journal import Journal
from edgewatch.tools.evaluation.judgement import Judgement, Seen
from edgewatch.tools.evaluation.keys import engine_key, recording_key
from edgewatch.tools.evaluation.memory import begin_peak, gpu_peak_bytes, peak_bytes
from edgewatch.tools.evaluation.panel import Case, Heard, Panel
from edgewatch.tools.evaluation.pictures import pictures_of, wanted_clips
from edgewatch.tools.evaluation.progress import EvaluationProgress
from edgewatch.tools.evaluation.seat import MakeEngine, NotJudged, Seat
from edgewatch.tools.evaluation.spool import Spool
from edgewatch.tools.recordings import NotFound

log = structlog.get_logger(__name__)

GIB = 1 << 30
SPOOL_GIB = 16.0


@dataclass(frozen=True, slots=True)
class Turns:
    """Engines judge one after the other, from a spool."""

    folder: Path | None = None
    """Where the spool is; None: the system's folder for temporary files."""
    most_bytes: int = int(SPOOL_GIB * GIB)


def evaluate(
    dataset: Dataset,
    choices: Sequence[EngineChoice],
    *,
    journal: Path | None = None,
    shown: bool = False,
    camera: str | None = None,
    turns: Turns | None = None,
    make_engine: MakeEngine = create_engine,
) -> Evaluation:
    """Judge a data set with each engine. Raises ConfigError, EngineFailed.

    `journal`: what is kept there is not judged again. `shown`: draw progress on standard error.
    `camera`: judge as this configured camera would be. `turns`: engines do not fit into memory
    together. All choices cut clips alike: those settings are the first one's.
    """
    if not choices:
        raise ValueError("an evaluation needs an engine")
    began_seconds = time.monotonic()
    with Journal(journal) as kept:
        run = _Run(dataset, choices, kept, camera, turns, make_engine)
        with EvaluationProgress(len(run.cases), known=run.known, shown=shown) as progress:
            asyncio.run(run.judge(progress))
        return run.evaluation(time.monotonic() - began_seconds)


class _Run:
    """One sitting of an evaluation."""

    def __init__(
        self,
        dataset: Dataset,
        choices: Sequence[EngineChoice],
        journal: Journal,
        camera: str | None,
        turns: Turns | None,
        make_engine: MakeEngine,
    ) -> None:
        self._dataset = dataset
        self._journal = journal
        self._turns = turns if len(choices) > 1 else None
        self._plans = [one.settings.plan_for(camera) for one in choices]
        self._seats = [
            Seat(choice, plan, make_engine)
            for choice, plan in zip(choices, self._plans, strict=True)
        ]
        self._engine_keys = [
            engine_key(one.settings, plan) for one, plan in zip(choices, self._plans, strict=True)
        ]
        self._failed = list(dataset.failed)
        self._keys: dict[str, str] = {}
        """Of the recordings that are there, by name."""
        for one in dataset.recordings:
            try:
                self._keys[one.name] = recording_key(one, self._plan)
            except OSError as error:
                self._failed.append(NotFound(one.name, f"cannot be read: {error.strerror}"))
        self.cases = [one for one in dataset.recordings if one.name in self._keys]
        self._meter = EnergyMeter((), TOGETHER)
        self._is_alone = len(choices) == 1
        self._troubles: dict[str, str] = {}

    @property
    def _plan(self) -> CameraPlan:
        """How clips are cut, for all."""
        return self._plans[0]

    @property
    def known(self) -> int:
        """Recordings about which everything is known."""
        return len(self.cases) - len(self._open_cases())

    async def judge(self, progress: EvaluationProgress) -> None:
        """Judge what is not known yet. Raises ConfigError, EngineFailed."""
        if self._turns is None:
            await self._judge_together(progress)
        else:
            await self._judge_in_turn(self._turns, progress)

    def _open_cases(self) -> list[Case]:
        """Return the recordings about which something is unknown, and who has to judge them."""
        return [case for one in self.cases if (case := self._case(one)) is not None]

    def _case(self, one: LabelledRecording) -> Case | None:
        key = self._keys[one.name]
        seen = self._journal.seen(key)
        if one.name in self._troubles or (seen is not None and seen.error):
            return None
        # One engine under two thresholds is asked once
        seats = tuple(
            self._engine_keys.index(engine)
            for engine in dict.fromkeys(self._engine_keys)
            if self._journal.judgement(key, engine) is None
        )
        return Case(one, seats) if seats or seen is None else None

    async def _judge_together(self, progress: EvaluationProgress) -> None:
        needed = sorted({seat for case in self._open_cases() for seat in case.seats})
        self._begin(alone=len(needed) == 1)
        try:
            for number in needed:
                await self._start(number, progress)
            self._meter.since_last()

            def keep(heard: Heard) -> None:
                self._keep(heard)
                progress.done()

            # Asked only now: an engine that is not what it was has everything to judge again
            cases = self._open_cases()
            await Panel(self._seats, self._plan, on_clip=progress.clip).judge(cases, keep)
        finally:
            for seat in self._seats:
                await seat.close()

    async def _judge_in_turn(self, turns: Turns, progress: EvaluationProgress) -> None:
        with tempfile.TemporaryDirectory(prefix="edgewatch-spool-", dir=turns.folder) as folder:
            spool = Spool(Path(folder), turns.most_bytes)
            while cases := self._open_cases():
                await self._fill(spool, cases, progress)
                for number in range(len(self._seats)):
                    await self._take_turn(number, spool, progress)
                for spooled in spool.kept:
                    assert spooled.seen is not None  # it was filled
                    self._note(spooled.case.recording, spooled.seen, {})
                    log.info("recording judged", recording=spooled.case.recording.name)
                    progress.done()
                spool.clear()

    async def _fill(
        self, spool: Spool, cases: Sequence[Case], progress: EvaluationProgress
    ) -> None:
        """Decode as many recordings as there is room for."""
        for case in cases:
            progress.step(f"decoding {case.recording.name}")
            if spool.is_half_full or not await spool.take(case, self._plan):
                if spool.kept:
                    return
                self._troubles[case.recording.name] = (
                    "its pictures do not fit into the spool: raise --spool-gib, "
                    "or leave out --in-turn"
                )

    async def _take_turn(self, number: int, spool: Spool, progress: EvaluationProgress) -> None:
        """Let one engine judge what is in the spool, and go again."""
        if not any(number in one.case.seats for one in spool.kept):
            return
        seat = self._seats[number]
        self._begin(alone=True)
        try:
            await self._start(number, progress)
            self._meter.since_last()
            for spooled in spool.kept:
                if number not in spooled.case.seats:
                    continue
                recording = spooled.case.recording
                progress.step(f"{seat.choice.name}: {recording.name}")
                try:
                    said = await seat.judge(recording.recording.camera, spooled.clips())
                except NotJudged as error:
                    self._troubles[recording.name] = str(error)
                else:
                    self._note(recording, None, {number: said})
        finally:
            await seat.close()

    def _begin(self, *, alone: bool) -> None:
        """Begin to measure what the engines take that come now."""
        begin_peak()
        self._is_alone = alone
        self._meter = energy_meter() if alone else EnergyMeter((), TOGETHER)

    async def _start(self, number: int, progress: EvaluationProgress) -> None:
        """Load an engine, and drop what another version of it said. Raises EngineFailed."""
        seat = self._seats[number]
        progress.step(f"loading {seat.choice.name}")
        await seat.start()
        self._journal.forget(self._engine_keys[number], other_than=seat.engine.name)

    def _keep(self, heard: Heard) -> None:
        recording = heard.case.recording
        if heard.trouble:
            self._troubles[recording.name] = "; ".join(heard.trouble)
        self._note(recording, heard.seen, heard.judgements)
        log.info("recording judged", recording=recording.name, clips=heard.seen.clips)

    def _note(
        self, one: LabelledRecording, seen: Seen | None, said: Mapping[int, Judgement]
    ) -> None:
        """Keep what became known; pictures only of clips that a report could show."""
        key = self._keys[one.name]
        costly = {
            self._engine_keys[number]: self._with_costs(judgement)
            for number, judgement in said.items()
        }
        if seen is not None:
            seen = self._trimmed(key, seen, costly)
        self._journal.note(key, seen, costly)

    def _trimmed(self, key: str, seen: Seen, said: Mapping[str, Judgement]) -> Seen:
        known = [
            said.get(engine) or self._journal.judgement(key, engine) for engine in self._engine_keys
        ]
        scores, thresholds = [], []
        for judgement, plan in zip(known, self._plans, strict=True):
            if judgement is not None and len(judgement.answers) == seen.clips:
                scores.append([answer.score for answer in judgement.answers])
                thresholds.append(plan.threshold)
        wanted = wanted_clips(scores, thresholds) if scores else []
        return replace(seen, thumbnails={clip: seen.thumbnails[clip] for clip in wanted})

    def _with_costs(self, judgement: Judgement) -> Judgement:
        return replace(
            judgement,
            peak_memory_bytes=peak_bytes(),
            peak_gpu_bytes=gpu_peak_bytes(),
            shared_memory=not self._is_alone,
            energy_joules=self._meter.since_last(),
            energy_source=self._meter.told_by,
        )

    def evaluation(self, wall_seconds: float) -> Evaluation:
        """Put together what is known. Raises ConfigError if no recording was judged."""
        accounts: list[list[Account]] = [[] for _ in self._seats]
        failed = list(self._failed)
        for one in self.cases:
            reason, told = self._account(one)
            if reason:
                failed.append(NotFound(one.name, reason))
                continue
            for column, account in zip(accounts, told, strict=True):
                column.append(account)
        if not accounts[0]:
            raise ConfigError(_nothing_judged(self._dataset, failed))
        runs = tuple(
            run_of(Rules(seat.choice.name, plan.threshold, rules_of(plan)), column)
            for seat, plan, column in zip(self._seats, self._plans, accounts, strict=True)
        )
        seen = {one.name: about for one, about, _ in accounts[0]}
        return Evaluation(
            dataset=self._dataset.name,
            runs=runs,
            failed=tuple(failed),
            duplicates=near_duplicates({name: one.signature for name, one in seen.items()}),
            pictures=pictures_of(runs, {name: one.thumbnails for name, one in seen.items()}),
            wall_seconds=wall_seconds,
            finished_seconds=time.time(),
            settings=in_force([seat.choice for seat in self._seats], self._plans),
            pictures_decoded=sum(one.pictures_decoded for one in seen.values()),
        )

    def _account(self, one: LabelledRecording) -> tuple[str, list[Account]]:
        """Return what each engine said of a recording, or why it counts nowhere."""
        key = self._keys[one.name]
        seen = self._journal.seen(key)
        if seen is None:
            return self._troubles.get(one.name, "was not judged"), []
        if seen.error:
            return seen.error, []
        if not seen.clips:
            return "is too short for a single clip", []
        told: list[Account] = []
        for engine in self._engine_keys:
            judgement = self._journal.judgement(key, engine)
            if judgement is None:
                return self._troubles.get(one.name, "was not judged by every engine"), []
            told.append((one, seen, judgement))
        starts = {tuple(answer.start_seconds for answer in said.answers) for _, _, said in told}
        if len(starts) > 1:
            return "was cut into other clips than before: start over with --anew", []
        return "", told


def _nothing_judged(dataset: Dataset, failed: Sequence[NotFound]) -> str:
    reasons = "".join(f"\n  {one.name}: {one.reason}" for one in failed[:8])
    more = f"\n  … and {len(failed) - 8} more" if len(failed) > 8 else ""
    return f"{dataset.name}: no labelled recording could be judged{reasons}{more}"
