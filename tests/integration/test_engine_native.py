"""The daemon with the engine `native` and a tiny model: verdicts, also once its process died."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.question import Form, verdict_question
from tests.integration.mosquitto import free_port, subscriber
from tests.integration.processes import daemon, file_camera, footage, write_settings
from tests.integration.subscriber import said, schemas_met
from tests.pipeline.engines.child.proc import children, command

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),  # processes that load torch, on a busy machine
    pytest.mark.skipif(
        find_spec("transformers") is None or find_spec("torch") is None,
        reason="torch or transformers is missing: pip install -e '.[dev]'",
    ),
]

VERDICTS = "edgewatch/gate/verdict"
PROMPT = "Watch the gate. An anomaly is anybody who climbs over it."
CHILD = "edgewatch.pipeline.engines.child"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.fakes.tiny_qwen import make_tiny_qwen

    return make_tiny_qwen(tmp_path_factory.mktemp("models") / "tiny-qwen")


def settings_of(folder: Path, model: Path, port: int) -> Path:
    video = footage(folder / "bursts.mp4")
    return write_settings(
        folder,
        broker_port=None,
        cameras=[file_camera("gate", video, prompt=PROMPT)],
        sections={
            "mqtt": {"port": port},
            "engine": {
                "kind": "native",
                "model": str(model),
                "device": "cpu",
                "explain_tokens": 4,
            },
        },
    )


async def test_daemon_judges_with_it_and_goes_on_when_its_process_is_killed(
    tmp_path: Path, tiny: Path
) -> None:
    port = free_port()
    settings = settings_of(tmp_path, tiny, port)
    async with daemon(settings) as program, subscriber(port) as heard:
        loaded = await program.until_logged("model loaded")
        assert loaded["engine"].startswith("native:tiny-qwen@")
        await heard.until(lambda: len(heard.payloads(VERDICTS)) >= 2, timeout_seconds=60.0)
        [engine] = [pid for pid in children(program.pid) if CHILD in command(pid)]
        os.kill(engine, signal.SIGKILL)
        await program.until_logged("engine process given up")
        judged = len(heard.payloads(VERDICTS))
        await heard.until(lambda: len(heard.payloads(VERDICTS)) >= judged + 3, timeout_seconds=60.0)
        [successor] = [pid for pid in children(program.pid) if CHILD in command(pid)]
        assert successor != engine
        verdicts = said(heard, VERDICTS)
        for verdict in verdicts:
            assert verdict["engine"] == loaded["engine"]
            assert 0.0 <= verdict["score"] <= 1.0
        assert {verdict["prompt"] for verdict in verdicts} == {
            verdict_question(PROMPT, Form()).hash
        }
        assert await program.stop() == 0
    schemas_met(heard)
