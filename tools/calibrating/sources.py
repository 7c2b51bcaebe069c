"""Sources: where labelled scores come from, and which engine, file and thresholds go with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.engine_setup import calibration_file, questions_of
from edgewatch.pipeline.engines.calibration import Calibration, split_name
from edgewatch.pipeline.engines.calibration_file import kept_file, read_calibration
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.records import open_readonly
from edgewatch.pipeline.types import CameraName
from edgewatch.tools.calibrating.choosing import TooLittle
from edgewatch.tools.calibrating.earlier import read_run
from edgewatch.tools.calibrating.feedback import labelled_feedback
from edgewatch.tools.calibrating.labelled import Labelled, labelled_run
from edgewatch.tools.calibrating.outcome import Threshold


@dataclass(frozen=True, slots=True)
class Subject:
    """What is calibrated."""

    settings: Settings
    """With the engine that is calibrated; its [engine] calibration as the user has it."""
    plan: CameraPlan
    """Whose event rules and prompt count."""
    read: Callable[[], Labelled]
    """Fetches the scores, which may take hours. Raises ConfigError, EngineFailed, StoreError,
    TooLittle."""

    @property
    def file(self) -> Path:
        """Where the engine looks for its calibration."""
        return calibration_file(self.settings)

    def is_loaded_from(self, file: Path) -> bool:
        """Whether the engine loads this file, as its settings are."""
        return self.settings.engine.calibration != "none" and file == self.file

    def thresholds(self, engine: str) -> list[Threshold]:
        """Return the thresholds in force, the plan's first; `engine`: its name, uncalibrated."""
        in_force = self._in_force(engine)
        found: dict[float, list[str]] = {self.plan.threshold: []}
        for plan in self.settings.plans():
            found.setdefault(plan.threshold, []).append(plan.name)
        return [
            Threshold(
                f"camera {', '.join(cameras)}" if number else "in force",
                now,
                float(in_force.undo_all(now)) if in_force else now,
            )
            for number, (now, cameras) in enumerate(found.items())
        ]

    def _in_force(self, engine: str) -> Calibration | None:
        if self.settings.engine.calibration == "none":
            return None
        try:
            found = read_calibration(self.file)
        except EngineFailed:
            return None
        return found if found.engine == engine else None


def subject_of(options: argparse.Namespace, settings: Settings, now_seconds: float) -> Subject:
    """Return what the arguments name. Raises ConfigError."""
    if options.feedback:
        return _of_feedback(options, settings, now_seconds)
    if options.evaluation is not None:
        return _of_evaluation(options, settings)
    return _of_dataset(options, settings)


def _of_dataset(options: argparse.Namespace, settings: Settings) -> Subject:
    from edgewatch.tools.evaluation.choice import EngineChoice, read_choices
    from edgewatch.tools.evaluation.dataset import read_dataset
    from edgewatch.tools.evaluation.running import evaluate

    (choice,) = read_choices([options.engine] if options.engine else [], settings)
    plan = choice.settings.plan_for(options.camera)
    dataset = read_dataset(options.dataset, options.labels)
    plain = EngineChoice(choice.name, _uncalibrated(choice.settings))

    def read() -> Labelled:
        evaluation = evaluate(
            dataset,
            [plain],
            journal=options.journal,
            shown=sys.stderr.isatty() and not options.json,
            camera=options.camera,
        )
        for one in evaluation.failed:
            sys.stderr.write(f"{one.name}: {one.reason}\n")
        return labelled_run(
            evaluation.runs[0],
            evaluation.duplicates,
            source=evaluation.dataset,
            questions=questions_of(choice.settings, [plan.prompt]),
        )

    return Subject(choice.settings, plan, read)


def _of_evaluation(options: argparse.Namespace, settings: Settings) -> Subject:
    found = read_run(options.evaluation, options.engine)
    _, calibrated = split_name(found.run.engine)
    if calibrated:
        raise ConfigError(
            f"{options.evaluation}: its scores are calibrated already ({found.run.engine}); "
            "evaluate again with --engine …,calibration=none"
        )
    if _kind(found.run.engine) != settings.engine.kind and options.output is None:
        raise ConfigError(
            f"{options.evaluation}: is of {found.run.engine}, and the settings run "
            f'"{settings.engine.kind}": name that engine\'s settings with --config, or a file '
            "with --output"
        )
    questions = () if found.prompt is None else questions_of(settings, [found.prompt])

    def read() -> Labelled:
        return labelled_run(
            found.run, found.duplicates, source=str(options.evaluation), questions=questions
        )

    return Subject(settings, settings.plan_for(options.camera), read)


def _of_feedback(options: argparse.Namespace, settings: Settings, now_seconds: float) -> Subject:
    plan = settings.plan_for(options.camera)
    database = settings.service.data_dir / "edgewatch.db"

    def read() -> Labelled:
        with open_readonly(database) as records:
            known = records.cameras()
            cameras = [CameraName(options.camera)] if options.camera else known
            if not set(cameras) & set(known):
                raise TooLittle(f"no score of {options.camera or 'any camera'} is on record")
            labelled = labelled_feedback(
                records,
                cameras,
                options.since,
                now_seconds,
                calibrations=_by_hash(calibration_file(settings)),
                questions=_questions(settings, cameras),
            )
        if labelled is None:
            raise TooLittle("no score is on record since then: name an earlier --since")
        return labelled

    return Subject(settings, plan, read)


def _questions(settings: Settings, cameras: Sequence[CameraName]) -> tuple[str, ...]:
    prompts = [plan.prompt for plan in settings.plans() if plan.name in cameras]
    return questions_of(settings, prompts or [settings.plan_for(None).prompt])


def _by_hash(file: Path) -> dict[str, Calibration]:
    """Read the calibration in force and those kept from before."""
    found = {}
    for one in [file, *file.parent.glob(kept_file(file, "*").name)]:
        try:
            calibration = read_calibration(one)
        except EngineFailed:
            continue
        found[calibration.hash] = calibration
    return found


def _uncalibrated(settings: Settings) -> Settings:
    engine = settings.engine.model_copy(update={"calibration": "none"})
    return settings.model_copy(update={"engine": engine})


def _kind(engine: str) -> str:
    """Return the kind of an engine by its name: builtin-1, transformers:X@hash."""
    return engine.partition(":")[0].partition("-")[0]
