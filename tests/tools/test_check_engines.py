"""`edgewatch check` with each kind of engine: what works, and each mistake with its cure."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.settings import load_settings
from edgewatch.tools.check import examine
from edgewatch.tools.findings import Finding
from tests.fakes.openai_chat import Frames
from tests.fakes.openai_server import Fault, OpenAiServer, serving
from tests.fakes.videos import write_video
from tests.integration.mosquitto import free_port
from tests.integration.processes import write_settings
from tests.pipeline.engines.tensorrt.checkpoint import write_checkpoint

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken-of-the-engine"

pytestmark = pytest.mark.timeout(120)
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None or find_spec("torch") is None,
    reason="transformers is missing: pip install -e '.[dev]'",
)


def settings_for(
    folder: Path, engine: Mapping[str, Any], clips: Mapping[str, Any] | None = None
) -> Path:
    video = folder / "front.mp4"
    if not video.exists():
        write_video(video, width=160, height=120, fps=8, frames=24)
    return write_settings(
        folder,
        broker_port=None,
        cameras=[{"name": "front", "url": str(video)}],
        sections={
            "mqtt": {"port": free_port()},
            "engine": {"max_batch": 2, **engine},
            "clips": clips or {},
        },
    )


def checked_here(settings: Path) -> list[Finding]:
    """Check within this process."""
    found = examine(load_settings(settings, environ={}))
    return [one for one in found if one.name in ("engine", "capacity", "load")]


def checked_apart(settings: Path, **variables: str) -> list[Finding]:
    """Check in a process with other variables; its document is all on standard output."""
    ran = subprocess.run(
        [sys.executable, "-m", "edgewatch.tools.check", "--config", str(settings), "--json"],
        env={**os.environ, **variables, "EDGEWATCH_LOG": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    found = [Finding(**row) for row in json.loads(ran.stdout)["checks"]]
    return [one for one in found if one.name in ("engine", "capacity", "load")]


def assert_works(found: list[Finding], kind: str) -> None:
    engine, *speeds, load = found
    assert engine.status in ("ok", "warn"), engine
    assert engine.subject.startswith(f"{kind}:")
    assert "a black picture 0." in engine.detail
    assert "camera front 0." in engine.detail
    assert [one.subject.rsplit(", ")[-1] for one in speeds] == ["1 at a time", "2 at a time"]
    assert all("ms a clip" in one.detail and "clips/s" in one.detail for one in speeds)
    assert (load.name, load.subject) == ("load", "the one enabled camera")


def the_failure(found: list[Finding], kind: str) -> Finding:
    (only,) = found
    assert (only.name, only.subject, only.status) == ("engine", kind, "fail")
    assert only.cure
    return only


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from tests.fakes.tiny_qwen import make_tiny_qwen

    torch.set_num_threads(1)
    return make_tiny_qwen(tmp_path_factory.mktemp("models") / "tiny-qwen")


@needs_transformers
class TestTransformers:
    @staticmethod
    def settings(folder: Path, model: Path, **engine: Any) -> Path:
        keys = {"kind": "transformers", "model": str(model), "device": "cpu", **engine}
        return settings_for(folder, keys)

    def test_a_checkpoint_that_works(self, tmp_path: Path, tiny: Path) -> None:
        assert_works(checked_here(self.settings(tmp_path, tiny)), "transformers")

    def test_no_directory(self, tmp_path: Path) -> None:
        found = checked_here(self.settings(tmp_path, tmp_path / "absent"))
        assert str(tmp_path / "absent") in the_failure(found, "transformers").detail

    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "*.safetensors"])
    def test_a_file_is_missing(self, tmp_path: Path, tiny: Path, name: str) -> None:
        copy = Path(shutil.copytree(tiny, tmp_path / "copy"))
        lost = min(copy.glob(name))
        lost.unlink()
        found = the_failure(checked_here(self.settings(tmp_path, copy)), "transformers")
        assert lost.name in found.detail
        assert "ownload" in found.cure

    def test_no_gpu(self, tmp_path: Path, tiny: Path) -> None:
        import torch

        device = f"cuda:{torch.cuda.device_count()}"
        found = the_failure(
            checked_here(self.settings(tmp_path, tiny, device=device)), "transformers"
        )
        assert device in found.detail
        assert "nvidia-smi" in found.cure

    def test_answers_of_several_tokens(self, tmp_path: Path, tiny: Path) -> None:
        settings = self.settings(tmp_path, tiny, answers=["Anomaly", "Normal"])
        found = the_failure(checked_here(settings), "transformers")
        assert '"Anomaly" is ' in found.detail
        assert found.cure.startswith("Set [engine] answers")

    @pytest.mark.integration
    def test_a_version_that_is_too_old(self, tmp_path: Path, tiny: Path) -> None:
        """What is installed is told by metadata, which another folder can say otherwise."""
        old = tmp_path / "old" / "transformers-4.40.0.dist-info"
        old.mkdir(parents=True)
        lines = ("Metadata-Version: 2.1", "Name: transformers", "Version: 4.40.0", "")
        (old / "METADATA").write_text("\n".join(lines))
        found = checked_apart(
            self.settings(tmp_path, tiny), PYTHONPATH=str(tmp_path / "old")
        )  # fmt: skip
        failure = the_failure(found, "transformers")
        assert "4.40.0" in failure.detail
        assert failure.cure == "Run pip install 'edgewatch[transformers]'"


@pytest.mark.integration
class TestTensorRt:
    @pytest.fixture
    def check(self, tmp_path: Path) -> Callable[..., list[Finding]]:
        model = write_checkpoint(tmp_path / "Cosmos-NVFP4")
        settings = settings_for(tmp_path, {"kind": "tensorrt", "model": str(model)})

        def check(*, library: bool = True, lost: str = "", **control: Any) -> list[Finding]:
            if lost:
                (model / lost).unlink()
            (tmp_path / "control").write_text(json.dumps({"step_seconds": 0.002, **control}))
            found = checked_apart(
                settings,
                PYTHONPATH=f"{ROOT}:{ROOT / 'tests' / 'fakes'}" if library else str(ROOT),
                FAKE_TRTLLM_CONTROL=str(tmp_path / "control"),
                FAKE_TRTLLM_REPORT=str(tmp_path / "report"),
            )
            report = tmp_path / "report"
            lines = report.read_text().splitlines() if report.exists() else []
            assert [line for line in lines if json.loads(line)["what"] == "broken"] == []
            return found

        return check

    def test_a_checkpoint_that_works(self, check: Callable[..., list[Finding]]) -> None:
        assert_works(check(), "tensorrt")

    def test_the_library_is_missing(self, check: Callable[..., list[Finding]]) -> None:
        found = the_failure(check(library=False), "tensorrt")
        assert "TensorRT-LLM cannot be imported" in found.detail
        assert "container" in found.cure

    def test_another_version(self, check: Callable[..., list[Finding]]) -> None:
        found = the_failure(check(version="1.1.0"), "tensorrt")
        assert "TensorRT-LLM 1.1.0" in found.detail
        assert "container" in found.cure

    def test_out_of_memory_at_load(self, check: Callable[..., list[Finding]]) -> None:
        found = the_failure(check(load="oom"), "tensorrt")
        assert "memory" in found.detail
        assert "max_batch" in found.cure

    @pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
    def test_a_file_is_missing(self, check: Callable[..., list[Finding]], name: str) -> None:
        assert name in the_failure(check(lost=name), "tensorrt").detail

    def test_the_quantisations_file_is_missing(self, check: Callable[..., list[Finding]]) -> None:
        found = the_failure(check(lost="hf_quant_config.json"), "tensorrt")
        assert "hf_quant_config.json" in found.detail


class TestRemote:
    @staticmethod
    def brightness(frames: Frames) -> float:
        """Score that differs between what is shown."""
        return 0.05 + 0.9 * float(frames.mean()) / 255.0

    @staticmethod
    async def checked(
        folder: Path,
        server: OpenAiServer,
        token: str = TOKEN,
        clips: Mapping[str, Any] | None = None,
        **engine: Any,
    ) -> list[Finding]:
        (folder / "token").write_text(token)
        (folder / "token").chmod(0o600)
        keys = {"kind": "remote", "url": server.url, "token_file": "token", **engine}
        settings = settings_for(folder, keys, clips)
        found = await asyncio.to_thread(checked_here, settings)
        assert all(token not in str(one) for one in found)
        return found

    async def test_a_server_that_works(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN, score=self.brightness)
        async with serving(server):
            assert_works(await self.checked(tmp_path, server), "remote")

    async def test_a_server_whose_model_does_not_see(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN, score=lambda frames: 0.25)
        async with serving(server):
            engine, *_ = await self.checked(tmp_path, server)
            assert engine.status == "fail"
            assert engine.detail.startswith("does not see")

    async def test_a_model_that_says_something_else(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN, score=self.brightness, mass=0.2)
        async with serving(server):
            engine, *_ = await self.checked(tmp_path, server)
            assert (engine.status, "hardly answers" in engine.detail) == ("warn", True)

    async def test_nobody_listens(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN)
        server.port = free_port()
        failure = the_failure(await self.checked(tmp_path, server), "remote")
        assert str(server.port) in failure.detail

    async def test_a_server_without_log_probabilities(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN, always=Fault("no_logprobs"))
        async with serving(server):
            failure = the_failure(await self.checked(tmp_path, server), "remote")
            assert "log-probabilities" in failure.detail
            assert "--max-logprobs" in failure.cure

    async def test_a_wrong_token(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN)
        async with serving(server):
            failure = the_failure(await self.checked(tmp_path, server, "another"), "remote")
            assert "token" in failure.detail
            assert "token_file" in failure.cure

    async def test_a_model_that_is_not_there(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN)
        async with serving(server):
            found = await self.checked(tmp_path, server, served_model="unheard-of")
            failure = the_failure(found, "remote")
            assert 'does not serve "unheard-of"' in failure.detail
            assert "served_model" in failure.cure

    async def test_a_server_that_skips_frames(self, tmp_path: Path) -> None:
        server = OpenAiServer(token=TOKEN, score=self.brightness, read_frames=4)
        async with serving(server):
            found = await self.checked(tmp_path, server, clips={"seconds": 3.0})
            failure = the_failure(found, "remote")
            assert "reads only about 4 of a clip's 12 frames" in failure.detail
            assert '"num_frames": 12' in failure.cure
