from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.models.catalogue import MODELS
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.models.fetching import Fetched, Order, fetch
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.held_folder import HeldFolder
from edgewatch.pipeline.scenes.models.hub import Patience
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.models.manifest import Manifest
from tests.fakes.hub_server import HubServer, Repo
from tests.pipeline.scenes.models.repos import (
    FLUX_WANTED,
    SDXL_WANTED,
    flux_files,
    flux_onnx_files,
    sdxl_files,
)

SDXL, SCHNELL = MODELS["sdxl"], MODELS["flux.1-schnell"]
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
PLENTY = 10**12


class Watcher:
    """Keeps what it was told; `at` is where the bar stands."""

    def __init__(self) -> None:
        self.total = self.at = 0
        self.notes: list[str] = []
        self.slept: list[float] = []

    def plan(self, what: str, total_bytes: int, here_bytes: int) -> None:
        self.total, self.at = total_bytes, here_bytes

    def file(self, path: str) -> None:
        pass

    def advance(self, gained_bytes: int) -> None:
        self.at += gained_bytes

    def note(self, text: str) -> None:
        self.notes.append(text)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer(
        {
            SDXL.repo: Repo(sdxl_files()),
            SCHNELL.repo: Repo(flux_files(), gated=True),
            str(SCHNELL.onnx_repo): Repo(flux_onnx_files()),
        }
    )
    with server.running():
        yield server
    assert server.violations == []


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def order(hub: HubServer, watcher: Watcher, tmp_path: Path) -> Order:
    patience = Patience(attempts=3, sleep=watcher.sleep, silence_seconds=10)
    folder = ModelFolder(tmp_path / "scenes")
    return Order(SDXL, folder, hub.url, patience=patience, room_bytes=lambda _: PLENTY)


def found_in(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def wanted_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path in SDXL_WANTED}


class TestFetch:
    def test_the_wanted_files_are_there_proved_and_written_down(
        self, order: Order, hub: HubServer, watcher: Watcher
    ) -> None:
        fetched = fetch(order, watcher)
        assert found_in(order.target) == wanted_of(sdxl_files())
        assert set(hub.asked) == SDXL_WANTED
        assert watcher.at == watcher.total == fetched.size_bytes
        lock = ModelsLock(order.folder.lock_file).fetched("sdxl", "weights")
        assert lock is not None
        assert (lock.repo, lock.revision) == (SDXL.repo, hub.repos[SDXL.repo].commit)
        listed = {file.path: file for file in Manifest(order.folder).files()}
        assert set(listed) == {f"models/sdxl/{path}" for path in SDXL_WANTED}
        for path, content in wanted_of(sdxl_files()).items():
            assert listed[f"models/sdxl/{path}"].size_bytes == len(content)
            assert lock.files[path]["sha256"] == listed[f"models/sdxl/{path}"].sha256
        assert list(order.folder.incoming.iterdir()) == []

    def test_what_is_here_is_not_fetched_again(self, order: Order, hub: HubServer) -> None:
        assert not fetch(order, Watcher()).here_already
        hub.asked.clear()
        assert fetch(order, Watcher()).here_already
        assert not hub.asked

    def test_a_file_that_was_damaged_since_is_fetched_again_alone(
        self, order: Order, hub: HubServer
    ) -> None:
        fetch(order, Watcher())
        (order.target / UNET).write_bytes(b"short")
        hub.asked.clear()
        fetch(order, Watcher())
        assert found_in(order.target) == wanted_of(sdxl_files())
        assert [path for path in hub.asked if path.endswith(".safetensors")] == [UNET]

    def test_a_new_revision_takes_the_place_of_the_old_one(
        self, order: Order, hub: HubServer
    ) -> None:
        fetch(order, Watcher())
        files = hub.repos[SDXL.repo].files
        files[UNET] = b"better weights"
        files["tokenizer/added.json"] = b"{}"
        hub.asked.clear()
        fetch(order, Watcher())
        assert (order.target / UNET).read_bytes() == b"better weights"
        assert (order.target / "tokenizer/added.json").exists()
        assert "vae/diffusion_pytorch_model.safetensors" not in hub.asked
        assert list(order.folder.incoming.iterdir()) == []

    def test_files_of_somebody_else_are_not_replaced(self, order: Order, hub: HubServer) -> None:
        (order.target / "unet").mkdir(parents=True)
        (order.target / "unet/mine.txt").write_text("mine")
        with pytest.raises(SceneRefused, match=r"mine\.txt was not put there by edgewatch"):
            fetch(order, Watcher())
        assert found_in(order.target) == {"unet/mine.txt": b"mine"}
        assert not hub.asked

    def test_exports_of_two_precisions_share_what_is_the_same(
        self, order: Order, hub: HubServer
    ) -> None:
        hub.repos[SCHNELL.repo].gated = False
        flux = replace(order, model=SCHNELL, onnx="fp8")
        fetch(flux, Watcher())
        hub.asked.clear()
        other = replace(flux, onnx="fp4")
        fetch(other, Watcher())
        data = "t5.opt/backbone.onnx_data"
        assert os.path.samefile(flux.target / data, other.target / data)
        assert {path for path in hub.asked if path.endswith((".onnx", ".onnx_data"))} == {
            "transformer.opt/fp4/model.onnx",
            "transformer.opt/fp4/backbone.onnx_data",
        }
        for path in ("tokenizer_2/spiece.model", "transformer/config.json", "model_index.json"):
            assert (other.target / path).read_bytes() == flux_files()[path]
        assert not list(other.target.rglob("*.safetensors"))
        assert "t5-fp8.opt" not in {path.name for path in other.target.iterdir()}

    def test_our_own_exports_make_room_for_fetched_ones(self, order: Order, hub: HubServer) -> None:
        hub.repos[SCHNELL.repo].gated = False
        flux = replace(order, model=SCHNELL, onnx="fp8")
        ours = [flux.target / name for name in ("vae/model.onnx", "vae.json", "facts.json")]
        with Claims(order.folder, SCHNELL.name).writing("onnx", ours):
            for path in ours:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}")
        fetch(flux, Watcher())
        assert not any(path.exists() for path in ours)
        assert (flux.target / "vae.opt/model.onnx").is_file()

    def test_exports_that_nobody_made_are_refused(self, order: Order) -> None:
        with pytest.raises(SceneRefused, match="no ready ONNX exports of sdxl in fp16"):
            fetch(replace(order, onnx="fp16"), Watcher())

    def test_paths_that_lead_outside_are_not_fetched(self, order: Order, hub: HubServer) -> None:
        outside = {"type": "file", "oid": "0" * 40, "size": 1}
        paths = ("../model_index.json", "/LICENSE", "vae/../../LICENSE.json", "unet/a\\b.json")
        hub.listed_besides = [outside | {"path": path} for path in paths]
        fetch(order, Watcher())
        assert found_in(order.target) == wanted_of(sdxl_files())


class TestCutDownloads:
    def test_a_cut_download_goes_on_where_it_ended(
        self, order: Order, hub: HubServer, watcher: Watcher
    ) -> None:
        hub.cuts[UNET] = deque([100_000, 100_000])
        fetch(order, watcher)
        assert found_in(order.target) == wanted_of(sdxl_files())
        assert [one for one, _, _ in hub.ranges] == [UNET, UNET]
        assert all(condition for _, _, condition in hub.ranges)
        assert hub.sent_bytes == watcher.at == watcher.total
        assert watcher.slept == [1.0, 1.0]

    def test_what_a_hopeless_download_got_is_kept_unseen_for_the_next_one(
        self, order: Order, hub: HubServer
    ) -> None:
        hub.cuts[UNET] = deque([100_000, 0, 0, 0, 0])
        with pytest.raises(SceneUnavailable, match=r"in a row.*run it again to go on"):
            fetch(order, Watcher())
        assert not order.target.exists()
        assert ModelsLock(order.folder.lock_file).fetched("sdxl", "weights") is None
        hub.cuts.clear()
        hub.sent_bytes, whole = 0, sum(map(len, wanted_of(sdxl_files()).values()))
        watcher = Watcher()
        fetch(order, watcher)
        assert found_in(order.target) == wanted_of(sdxl_files())
        assert hub.sent_bytes == 200_000
        assert hub.ranges[-1][:2] == (UNET, "bytes=100000-")
        assert watcher.at == watcher.total == whole

    def test_a_file_that_changed_meanwhile_begins_anew(self, order: Order, hub: HubServer) -> None:
        self._fail_in_the_middle(order, hub)
        hub.repos[SDXL.repo].files[UNET] = b"n" * 250_000
        hub.ranges.clear()
        fetch(order, Watcher())
        assert (order.target / UNET).read_bytes() == b"n" * 250_000
        assert hub.ranges == []

    def test_another_etag_begins_anew(self, order: Order, hub: HubServer) -> None:
        self._fail_in_the_middle(order, hub)
        hub.etag = '"another"'
        watcher = Watcher()
        fetch(order, watcher)
        assert found_in(order.target) == wanted_of(sdxl_files())
        assert watcher.at == watcher.total

    def test_a_part_that_was_spoilt_is_found_out_and_fetched_anew(
        self, order: Order, hub: HubServer
    ) -> None:
        self._fail_in_the_middle(order, hub)
        part = order.staging / f"{UNET}.part"
        part.write_bytes(b"\0" * part.stat().st_size)
        fetch(order, Watcher())
        assert found_in(order.target) == wanted_of(sdxl_files())

    def test_beginning_anew_for_ever_is_no_progress(self, order: Order, hub: HubServer) -> None:
        hub.cuts[UNET] = deque([100_000] * 50)
        hub.etags = iter(f'"{number}"' for number in range(99))
        with pytest.raises(SceneUnavailable, match="3 times in a row"):
            fetch(order, Watcher())
        assert not order.target.exists()

    def _fail_in_the_middle(self, order: Order, hub: HubServer) -> None:
        hub.cuts[UNET] = deque([100_000, 0, 0, 0, 0])
        with pytest.raises(SceneUnavailable):
            fetch(order, Watcher())
        hub.cuts.clear()


class TestRefusals:
    def test_a_gated_model_without_token(self, order: Order, hub: HubServer) -> None:
        gated = replace(order, model=SCHNELL)
        with pytest.raises(SceneRefused) as error:
            fetch(gated, Watcher())
        for words in ("is gated", f"{hub.url}/{SCHNELL.repo}", "mode 0600", "token_file"):
            assert words in str(error.value)
        assert found_in(order.folder.root / "models") == {}

    def test_a_gated_model_with_a_token(self, order: Order, hub: HubServer, tmp_path: Path) -> None:
        gated = replace(order, model=SCHNELL, token_file=secret(tmp_path, hub.token))
        fetched: Fetched = fetch(gated, Watcher())
        assert set(found_in(gated.target)) == set(FLUX_WANTED)
        assert fetched.files == len(FLUX_WANTED)

    def test_terms_that_were_not_accepted_on_the_hub(
        self, order: Order, hub: HubServer, tmp_path: Path
    ) -> None:
        hub.terms_accepted = False
        gated = replace(order, model=SCHNELL, token_file=secret(tmp_path, hub.token))
        with pytest.raises(SceneRefused, match="its owner may not read") as error:
            fetch(gated, Watcher())
        assert hub.token not in str(error.value)

    def test_a_token_that_the_hub_does_not_know(self, order: Order, tmp_path: Path) -> None:
        gated = replace(order, token_file=secret(tmp_path, "hf_wrong_wrong"))
        with pytest.raises(SceneRefused, match="does not know the token in") as error:
            fetch(gated, Watcher())
        assert "hf_wrong_wrong" not in str(error.value)

    def test_a_disk_that_is_too_small(self, order: Order, hub: HubServer) -> None:
        with pytest.raises(SceneRefused, match=r"Free 410\.2 kB") as error:
            fetch(replace(order, room_bytes=lambda _: 10**9 - 50_000), Watcher())
        assert "still to be fetched" in str(error.value)
        assert not hub.asked
        assert found_in(order.folder.root / "models") == {}

    def test_room_is_asked_for_what_is_still_missing_alone(
        self, order: Order, hub: HubServer
    ) -> None:
        hub.cuts[UNET] = deque([250_000, 0, 0, 0, 0])
        with pytest.raises(SceneUnavailable):
            fetch(order, Watcher())
        hub.cuts.clear()
        fetch(replace(order, room_bytes=lambda _: 10**9 + 60_000), Watcher())
        assert found_in(order.target) == wanted_of(sdxl_files())

    def test_a_wrong_hash_is_refused_and_the_file_removed(
        self, order: Order, hub: HubServer
    ) -> None:
        hub.falsified[UNET] = b"x" * 300_000
        with pytest.raises(SceneRefused, match=f"{UNET} of .* is not what the hub lists"):
            fetch(order, Watcher())
        assert not order.target.exists()
        assert UNET not in found_in(order.staging)
        assert f"{UNET}.part" not in found_in(order.staging)

    def test_a_small_file_with_a_wrong_hash_is_refused(self, order: Order, hub: HubServer) -> None:
        hub.falsified["model_index.json"] = b"y" * len("model_index.json")
        with pytest.raises(SceneRefused, match=r"model_index\.json of .* is not what"):
            fetch(order, Watcher())

    def test_a_file_of_another_size_is_not_taken(self, order: Order, hub: HubServer) -> None:
        hub.falsified[UNET] = b"x" * 300_001
        with pytest.raises(SceneUnavailable, match="sends 300001 bytes, listed are 300000"):
            fetch(order, Watcher())

    def test_one_fetch_at_a_time(self, order: Order) -> None:
        refused = pytest.raises(SceneRefused, match="another fetch, build or purge")
        with HeldFolder(order.folder), refused:
            fetch(order, Watcher())

    def test_a_busy_hub_is_asked_again_when_it_says(
        self, order: Order, hub: HubServer, watcher: Watcher
    ) -> None:
        hub.statuses, hub.retry_after = deque([429, 503]), "7"
        fetch(order, watcher)
        assert watcher.slept == [7.0, 7.0]
        assert "trying again in 7 s" in watcher.notes[0]

    def test_a_hub_that_stays_busy_is_given_up(self, order: Order, hub: HubServer) -> None:
        hub.statuses = deque([503] * 9)
        with pytest.raises(SceneUnavailable, match="answered 503, 3 times in a row"):
            fetch(order, Watcher())
        assert len(hub.statuses) == 6

    def test_a_login_page_is_no_hub(self, order: Order, hub: HubServer) -> None:
        hub.page = "<html>log in</html>"
        with pytest.raises(SceneUnavailable, match="does not answer as the Hugging Face hub does"):
            fetch(order, Watcher())

    def test_a_mirror_without_the_model(self, order: Order, hub: HubServer) -> None:
        del hub.repos[SDXL.repo]
        with pytest.raises(SceneUnavailable, match="has no stabilityai/stable-diffusion-xl"):
            fetch(order, Watcher())

    def test_a_hub_that_is_not_there(self, order: Order) -> None:
        with pytest.raises(SceneUnavailable, match="no connection, 3 times in a row"):
            fetch(replace(order, hub_url="http://127.0.0.1:9"), Watcher())

    def test_a_repository_laid_out_otherwise(self, order: Order, hub: HubServer) -> None:
        del hub.repos[SDXL.repo].files[UNET]
        del hub.repos[SDXL.repo].files["unet/diffusion_pytorch_model.safetensors"]
        with pytest.raises(SceneUnavailable, match=r"holds no unet/\*\.safetensors"):
            fetch(order, Watcher())


def secret(folder: Path, text: str) -> Path:
    path = folder / "hub.token"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path
