"""Kill -9 at any moment: what was accepted is delivered, in order, and every event gets its end."""

from __future__ import annotations

import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Event
from tests.integration.mosquitto import Subscriber, mosquitto, subscriber
from tests.integration.processes import edgewatch, finished, footage, write_settings
from tests.integration.subscriber import all_steps, assert_well_told, schemas_met

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("EDGEWATCH_TEST_KILLS", "6"))
"""`make test-long` kills 20 times."""
SEED = int(os.environ.get("EDGEWATCH_TEST_SEED", "20261121"))
RECORDINGS = 3
MOST_LOG_LINES = 45
"""About as many as a whole run writes at level debug: a kill behind it would find it ended."""


async def killed_once(
    arguments: tuple[str | Path, ...], heard: Subscriber, draw: random.Random
) -> bool:
    """Start a replay and kill it at a moment drawn; False if it had ended before.

    The moment is a number of log lines written, or of messages that reached the subscriber.
    """
    async with edgewatch(*arguments, log_level="debug") as program:
        if draw.random() < 0.5:
            running = await program.until_lines(draw.randint(1, MOST_LOG_LINES))
        else:
            wanted = len(heard.messages) + draw.randint(1, MOST_LOG_LINES)
            await heard.until(
                lambda: len(heard.messages) >= wanted or program.process.returncode is not None
            )
            running = program.process.returncode is None
        await program.kill()
    return running


def events_kept(database: Path) -> list[Event]:
    with closing(Store.open_readonly(database)) as records:
        return records.events(limit=10_000)


@pytest.mark.timeout(300)
async def test_replay_killed_at_random_moments_loses_no_event_and_leaves_none_without_end(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(RECORDINGS):
        footage(folder / f"bursts-{number}.mp4")
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as heard:
        settings = write_settings(tmp_path, broker_port=broker.port)
        arguments = ("replay", folder, "--config", settings, "--publish")
        draw = random.Random(SEED)
        kills = 0
        while kills < KILLS:
            kills += await killed_once(arguments, heard, draw)

        ended = await finished(*arguments, "--json")
        assert ended.code == 0, ended.err
        assert ended.document["dropped"] == 0
        kept = events_kept(tmp_path / "data" / "replay.db")
        ends = {event.event_id for event in kept}
        await heard.until(
            lambda: ends <= {s["event_id"] for s in all_steps(heard) if s["type"] == "end"}
        )

    assert_well_told(heard)
    schemas_met(heard)
    last = {step["event_id"]: step for step in all_steps(heard)}
    assert set(last) == ends
    for event in kept:
        assert event.end_seconds is not None, event
        assert (last[event.event_id]["type"], last[event.event_id]["revision"]) == (
            "end",
            event.revision,
        )
    # The kills did hit open events, and the last run was a whole one.
    assert any(event.ended_by == "restart" for event in kept)
    assert len([e for e in kept if e.ended_by == "quiet"]) >= 2 * RECORDINGS
