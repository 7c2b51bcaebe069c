from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import load_settings
from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import MODELS
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.tools.scene_commands import fetch, purge
from edgewatch.tools.scene_commands.setup import scene_setup
from tests.fakes.hub_server import HubServer, Repo
from tests.pipeline.scenes.models.repos import SDXL_WANTED, flux_files, sdxl_files

SDXL = MODELS["sdxl"]

Write = Callable[..., str]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    repos = {SDXL.repo: Repo(sdxl_files()), MODELS["flux.1-dev"].repo: Repo(flux_files())}
    with HubServer(repos).running() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def written(hub: HubServer, tmp_path: Path) -> Write:
    """Write settings with further lines of [scenes], and return their path."""

    def write(lines: str = "") -> str:
        path = tmp_path / "edgewatch.toml"
        path.write_text(f'[service]\ndata_dir = "data"\n[scenes]\nhub_url = "{hub.url}"\n{lines}\n')
        return str(path)

    return write


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


class TestFetch:
    def test_without_a_model_it_prints_the_table(
        self, written: Write, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert fetch.main(["--config", written()]) == 0
        told = capsys.readouterr().out
        for words in ("flux.1-schnell", "fp8*", "33.7 GB", "openrail++-m", "flux-1-dev (refused)"):
            assert words in told

    def test_the_table_as_json(
        self, written: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        fetch.main(["--config", written(), "--json"])
        told = document(capsys)
        assert told["folder"] == str(tmp_path / "data/scenes")
        assert len(told["models"]) == sum(len(model.precisions) for model in MODELS.values())
        assert {row["model"] for row in told["models"] if not row["allowed"]} == {"flux.1-dev"}

    def test_an_accepted_licence_is_recorded_and_asked_once(
        self, written: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        config = written()
        accept = ["--accept-licence", "openrail++-m"]
        assert fetch.main(["sdxl", *accept, "--config", config, "--json"]) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["files"] == len(SDXL_WANTED)
        assert "predicting that a person will commit a crime" in captured.err
        folder = ModelFolder(tmp_path / "data/scenes")
        accepted = ModelsLock(folder.lock_file).acceptance("sdxl")
        assert accepted is not None
        assert (accepted.licence, accepted.how) == ("openrail++-m", "option")
        assert fetch.main(["sdxl", "--config", config, "--json"]) == 0
        assert document(capsys)["here_already"]

    @pytest.mark.parametrize("answer", ["no", "", "y", "maybe"])
    def test_a_licence_that_is_not_accepted_fetches_nothing(
        self, written: Write, hub: HubServer, tmp_path: Path, answer: str
    ) -> None:
        with pytest.raises(SceneRefused, match="nothing was fetched"):
            fetch.main(["sdxl", "--config", written()], ask=lambda _: answer)
        assert not hub.asked
        assert not (tmp_path / "data/scenes").exists()

    def test_a_person_may_accept(
        self, written: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert fetch.main(["sdxl", "--config", written()], ask=lambda _: "Yes") == 0
        assert "15 files" in capsys.readouterr().out

    def test_without_a_person_the_option_is_asked_for(self, written: Write) -> None:
        with pytest.raises(SceneRefused, match="--accept-licence openrail"):
            fetch.main(["sdxl", "--config", written(), "--json"])

    def test_the_licence_of_another_model_is_not_taken(self, written: Write) -> None:
        with pytest.raises(SceneRefused, match="the licence of sdxl is openrail"):
            fetch.main(["sdxl", "--accept-licence", "apache-2.0", "--config", written()])

    def test_dev_is_refused_whatever_is_accepted(self, written: Write, hub: HubServer) -> None:
        accept = ["--accept-licence", "flux-1-dev"]
        with pytest.raises(SceneRefused, match="forbids use for surveillance"):
            fetch.main(["flux.1-dev", *accept, "--config", written()])
        assert not hub.asked

    def test_dev_with_a_contract_is_fetched_and_the_contract_recorded(
        self, written: Write, tmp_path: Path
    ) -> None:
        config = written('dev_commercial_licence = "bfl-commercial:2026-0001"')
        assert fetch.main(["flux.1-dev", "--config", config, "--json"]) == 0
        accepted = ModelsLock(tmp_path / "data/scenes/models.lock").acceptance("flux.1-dev")
        assert accepted is not None
        assert (accepted.how, accepted.contract) == ("settings", "bfl-commercial:2026-0001")

    def test_a_disk_that_is_too_small_leaves_nothing(self, written: Write, tmp_path: Path) -> None:
        accept = ["--accept-licence", "openrail++-m"]
        with pytest.raises(SceneRefused, match="too small"):
            fetch.main(["sdxl", *accept, "--config", written()], room_bytes=lambda _: 0)
        assert not (tmp_path / "data/scenes/models").exists()

    def test_an_unknown_model_is_told(self, written: Write) -> None:
        with pytest.raises(SceneRefused, match='no model "sd3"; there are flux'):
            fetch.main(["sd3", "--config", written()])


class TestPurge:
    def test_it_tells_then_removes(
        self, written: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        config = written()
        fetch.main(["sdxl", "--accept-licence", "openrail++-m", "--config", config])
        capsys.readouterr()
        assert purge.main(["--config", config]) == 0
        assert "Nothing was removed; add --yes" in capsys.readouterr().out
        assert purge.main(["sdxl", "--yes", "--config", config, "--json"]) == 0
        told = document(capsys)
        assert told["removed"]
        assert len(told["files"]) == len(SDXL_WANTED)
        assert not (tmp_path / "data/scenes/models").exists()

    def test_where_nothing_is_nothing_is_made(
        self, written: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        assert purge.main(["--yes", "--config", written()]) == 0
        assert "nothing of edgewatch's" in capsys.readouterr().out
        assert not (tmp_path / "data").exists()


class TestSettings:
    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            ('backend = "http"', 'url = "http://127.0.0.1:8000/v1"'),
            ('url = "http://user:secret@h/v1"', "holds a user or password"),
            ('hub_url = "ftp://h"', "http:// or https://"),
            ('dev_commercial_licence = "yes"', "names no contract"),
            ("steps = 0", "whole number from 1 to 100"),
        ],
    )
    def test_wrong_settings_are_told(self, tmp_path: Path, lines: str, words: str) -> None:
        path = tmp_path / "edgewatch.toml"
        path.write_text(f"[scenes]\n{lines}\n")
        with pytest.raises(ConfigError) as error:
            load_settings(path, {})
        assert words in str(error.value)
        assert "secret" not in str(error.value)

    def test_options_win_over_settings(self, written: Write, tmp_path: Path) -> None:
        settings = load_settings(Path(written('model = "sdxl"\nsteps = 7')), {})
        setup = scene_setup(settings, Namespace(backend="diffusers", steps=None, precision="fp8"))
        assert (setup.backend, setup.model, setup.steps) == ("diffusers", "sdxl", 7)
        assert setup.chosen_precision == "fp8"
        assert setup.root == tmp_path / "data/scenes"
