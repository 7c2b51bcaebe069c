"""The daemon with the engine `transformers` and a tiny model: a recording to verdicts on MQTT."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.question import Form, verdict_question
from tests.integration.mosquitto import free_port, subscriber
from tests.integration.processes import (
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)
from tests.integration.subscriber import said, schemas_met

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),  # a program that loads torch, on a busy machine
    pytest.mark.skipif(
        find_spec("transformers") is None or find_spec("torch") is None,
        reason="transformers is missing: pip install -e '.[dev]'",
    ),
]

FRONT_VERDICTS = "edgewatch/front/verdict"
BACK_VERDICTS = "edgewatch/back/verdict"
PROMPT = "Watch the gate. An anomaly is anybody who climbs over it."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.fakes.tiny_qwen import make_tiny_qwen

    return make_tiny_qwen(tmp_path_factory.mktemp("models") / "tiny-qwen")


def settings_of(folder: Path, model: Path, port: int, video: Path) -> Path:
    return write_settings(
        folder,
        broker_port=None,
        cameras=[file_camera("front", video), file_camera("back", video, prompt=PROMPT)],
        sections={
            "mqtt": {"port": port},
            "engine": {
                "kind": "transformers",
                "model": str(model),
                "device": "cpu",
                "explain_tokens": 8,
            },
        },
    )


async def test_daemon_judges_a_recording_and_publishes_what_it_was_asked(
    tmp_path: Path, tiny: Path
) -> None:
    port = free_port()
    video = footage(tmp_path / "bursts.mp4")
    settings = settings_of(tmp_path, tiny, port, video)
    async with daemon(settings) as program, subscriber(port) as heard:
        await heard.until(
            lambda: all(
                len(heard.payloads(topic)) >= 4 for topic in (FRONT_VERDICTS, BACK_VERDICTS)
            ),
            timeout_seconds=60.0,
        )
        loaded = await program.until_logged("model loaded")
        assert loaded["engine"].startswith("transformers:tiny-qwen@")
        front, back = said(heard, FRONT_VERDICTS), said(heard, BACK_VERDICTS)
        for verdict in (*front, *back):
            assert verdict["engine"] == loaded["engine"]
            assert 0.0 <= verdict["score"] <= 1.0
            assert verdict["label"] in ("Normal", "Anomaly")
        assert {verdict["prompt"] for verdict in back} == {verdict_question(PROMPT, Form()).hash}
        assert len({verdict["prompt"] for verdict in (*front, *back)}) == 2
        assert len({verdict["score"] for verdict in front}) > 1
        assert await program.stop() == 0
    schemas_met(heard)


async def test_daemon_without_the_checkpoint_says_what_is_missing(
    tmp_path: Path, tiny: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_bytes((tiny / "config.json").read_bytes())
    video = footage(tmp_path / "bursts.mp4", seconds=1.0)
    ended = await finished("run", "--config", settings_of(tmp_path, model, free_port(), video))
    assert ended.code == 75
    assert str(model / "tokenizer.json") in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err
