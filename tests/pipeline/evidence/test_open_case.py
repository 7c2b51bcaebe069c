from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgewatch.pipeline.evidence import open_case
from edgewatch.pipeline.evidence.files import CaseFiles
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.open_case import OpenCase, OpenCases
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.sidecar import MOST_CLIPS, Case, ClipFacts
from edgewatch.pipeline.types import Event
from tests.fakes.camera import make_plan
from tests.fakes.clips import FRONT, make_clip, make_verdict
from tests.fakes.events import make_event


class Desk:
    """Keeps jobs until they are done, and hears what was written."""

    def __init__(self, root: Path) -> None:
        self.folder = EvidenceFolder(root)
        self.jobs: list[Callable[[], None]] = []
        self.held_bytes: list[int] = []
        self.told: list[tuple[Case, int, str | None]] = []

    def submit(self, job: Callable[[], None], *, holds_bytes: int = 0, must: bool = False) -> bool:
        self.jobs.append(job)
        self.held_bytes.append(holds_bytes)
        return True

    def work(self) -> None:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()

    def case(self, event: Event) -> OpenCase:
        files = CaseFiles(self.folder, "front/2026-11-21", event.event_id, self.submit)
        case = Case(event, make_plan("front"), None, ())
        return OpenCase(case, "front/2026-11-21", 1.0, files, lambda *told: self.told.append(told))

    def json(self, event_id: str) -> dict[str, object]:
        told = self.folder.read_sidecar("front/2026-11-21", event_id)
        assert told is not None
        return told


def over(event_id: str) -> Event:
    return make_event(event_id, end_seconds=1_010.0, revision=9)


def test_of_json_that_waits_for_a_slow_disk_the_newest_is_written_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    opened = desk.case(make_event("e1"))
    for revision in range(1, 100):
        opened.follow(replace(make_event("e1"), revision=revision))
    assert len(desk.jobs) == 1
    desk.work()
    assert [case.event.revision for case, _, _ in desk.told] == [99]
    opened.begun(1_000.0)
    desk.work()
    assert len(desk.told) == 2


def test_frames_of_clips_that_are_not_told_cost_no_memory(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    opened = desk.case(make_event("e1"))
    for number in range(MOST_CLIPS + 50):
        # Each clip begins with the second half of the one before
        clip = make_clip(float(number), first_index=2 * number)
        facts = ClipFacts.of(clip, make_verdict(clip.end_seconds, 0.9))
        opened.add(lambda case, facts=facts: case.with_clip(facts), clip)  # type: ignore[misc]
    assert len(desk.jobs) == MOST_CLIPS
    frame_bytes = 28 * 28 * 3
    assert sum(desk.held_bytes) == (2 * MOST_CLIPS + 2) * frame_bytes  # each frame once
    opened.write()
    desk.work()
    told = desk.json("e1")
    assert told["clips_left_out"] == 50
    frames = told["frames"]
    assert isinstance(frames, list)
    assert None not in {one["pixels"] for one in frames}


def test_a_case_is_open_until_its_last_json_is_written(tmp_path: Path) -> None:
    desk, cases = Desk(tmp_path), OpenCases()
    opened = desk.case(make_event("e1"))
    cases.add("e1", opened)
    opened.done(Outcome("e1", FRONT, "ready"))
    assert cases.recording == 0
    assert cases.going_on("e1") is opened  # its event goes on
    opened.follow(over("e1"))
    assert cases.going_on("e1") is None
    assert cases.get("e1") is opened
    first = opened.case
    opened.remember("c1", b"all that was normal")
    cases.written(opened, first, taken=True)
    assert cases.get("e1") is opened  # newer JSON is on its way
    desk.work()
    cases.written(opened, desk.told[-1][0], taken=True)
    assert cases.get("e1") is None
    assert desk.json("e1")["memory"] == {"file": "e1.npz", "before_clip": "c1"}


def test_of_a_disk_that_takes_nothing_only_so_many_are_remembered(tmp_path: Path) -> None:
    desk, cases = Desk(tmp_path), OpenCases()
    for number in range(open_case.MOST_UNWRITTEN + 5):
        opened = desk.case(make_event(f"e{number}"))
        cases.add(f"e{number}", opened)
        opened.done(Outcome(f"e{number}", FRONT, "failed"))
        opened.follow(over(f"e{number}"))
        cases.written(opened, opened.case, taken=False)
    assert len(cases.events) == open_case.MOST_UNWRITTEN
    assert cases.left_out == 5
    desk.jobs.clear()
    kept = cases.get("e0")
    assert kept is not None
    desk.work()


def test_a_score_that_is_no_number_leaves_no_case_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    opened = desk.case(replace(make_event("e1"), score=float("nan")))
    opened.write()
    desk.work()
    assert len(desk.told) == 1
    assert json.dumps(desk.told[0][1:]) == "[0, null]"
