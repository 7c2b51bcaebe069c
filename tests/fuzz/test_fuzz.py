from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.fuzz.camera import originals, replay_mutated, replayed
from tests.fuzz.mutations import mutated

SLICE = 250
SEED = 20_261_121


def test_damaged_recordings_end_with_a_reason_or_are_judged_as_far_as_they_go(
    tmp_path: Path,
) -> None:
    """A slice of what `python -m tests.fuzz` does at length."""
    paths = originals(tmp_path)
    assert [replayed(path) for path in paths] == [""] * len(paths)
    contents = [path.read_bytes() for path in paths]
    reasons: Counter[str] = Counter()
    for number in range(SLICE):
        chosen, data = mutated(SEED + number, contents)
        replay_mutated(data, paths[chosen].suffix, reasons)
    assert reasons.total() == SLICE
    assert reasons["unreadable"] > 0
    assert reasons["whole"] > 0
