"""What is decided without a network: catalogue, selection, licences, secrets, redirects, purge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import (
    MODELS,
    download_bytes,
    precision_of,
    size_bytes,
)
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.models.folder import ModelFolder, is_inside
from edgewatch.pipeline.scenes.models.licences import LICENCES, check_licence
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.models.manifest import Manifest
from edgewatch.pipeline.scenes.models.origins import refuse_open_token, refuse_redirect
from edgewatch.pipeline.scenes.models.purging import doomed, purge
from edgewatch.pipeline.scenes.models.selection import RemoteFile, wanted_weights
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.token_file import read_token
from tests.pipeline.scenes.models.repos import FLUX_WANTED, SDXL_WANTED, flux_files, sdxl_files

SCHNELL, DEV, SDXL = (MODELS[name] for name in ("flux.1-schnell", "flux.1-dev", "sdxl"))


class TestCatalogue:
    def test_sizes_are_those_of_the_published_files(self) -> None:
        assert size_bytes(SCHNELL, "bf16") == pytest.approx(33.7e9, rel=0.005)
        assert SCHNELL.component("transformer").size_bytes("bf16") == pytest.approx(
            23.8e9, rel=0.01
        )
        assert SCHNELL.component("transformer").size_bytes("fp4") == pytest.approx(6.7e9, rel=0.01)
        assert SDXL.component("unet").size_bytes("fp16") == pytest.approx(5.13e9, rel=0.005)

    def test_fp8_and_fp4_shrink_the_transformer_alone(self) -> None:
        saved = size_bytes(SCHNELL, "bf16") - size_bytes(SCHNELL, "fp8")
        assert saved == SCHNELL.component("transformer").parameters
        assert download_bytes(SCHNELL, "fp8") == size_bytes(SCHNELL, "bf16")

    def test_sdxls_vae_stays_in_32_bits(self) -> None:
        assert SDXL.component("vae").precision("fp16") == "fp32"

    def test_a_precision_that_a_model_lacks_is_refused(self) -> None:
        with pytest.raises(SceneRefused, match="it does in fp16, bf16, fp8, fp32"):
            precision_of(SDXL, "fp4")

    def test_every_model_has_a_licence(self) -> None:
        assert {model.licence for model in MODELS.values()} == set(LICENCES)


class TestSelection:
    @pytest.mark.parametrize(
        ("name", "files", "wanted"),
        [("sdxl", sdxl_files(), SDXL_WANTED), ("flux.1-schnell", flux_files(), FLUX_WANTED)],
    )
    def test_of_several_copies_one_is_wanted(
        self, name: str, files: dict[str, bytes], wanted: set[str]
    ) -> None:
        listed = [RemoteFile(path, len(content), None, "") for path, content in files.items()]
        assert {file.path for file in wanted_weights(MODELS[name], listed)} == set(wanted)

    @pytest.mark.parametrize(
        "path", ["../a", "/a", "a/../b", "a//b", "./a", "a\\b", "a/\0", "", ".", "a/./b", "a\nb"]
    )
    def test_a_path_that_leads_elsewhere_is_outside(self, path: str) -> None:
        assert not is_inside(path)

    @given(st.lists(st.sampled_from(["a", "b.json", "..", ".", "", "c d"]), min_size=1, max_size=5))
    def test_what_is_inside_resolves_inside(self, parts: list[str]) -> None:
        path = "/".join(parts)
        if is_inside(path):
            assert Path("/srv/x", path).resolve().is_relative_to("/srv/x")


class TestLicences:
    def test_dev_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        for contract in (None, "bfl-commercial:", "bfl-commercial: ", "yes"):
            with pytest.raises(SceneRefused, match="forbids use for surveillance") as error:
                check_licence(DEV, SceneSetup(tmp_path, dev_licence=contract))
            assert "dev_commercial_licence" in str(error.value)

    def test_a_model_whose_licence_nobody_accepted_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SceneRefused, match=r"--accept-licence apache-2\.0"):
            check_licence(SCHNELL, SceneSetup(tmp_path, backend="diffusers"))

    def test_an_accepted_licence_lets_the_model_pass(self, tmp_path: Path) -> None:
        setup = SceneSetup(tmp_path, backend="tensorrt")
        ModelsLock(setup.folder.lock_file).accept(
            SCHNELL.name, "apache-2.0", how="option", repo=SCHNELL.repo
        )
        check_licence(SCHNELL, setup)
        with pytest.raises(SceneRefused):
            check_licence(SDXL, setup)

    def test_another_licence_than_the_models_is_not_enough(self, tmp_path: Path) -> None:
        setup = SceneSetup(tmp_path, backend="diffusers")
        ModelsLock(setup.folder.lock_file).accept(
            SDXL.name, "apache-2.0", how="option", repo=SDXL.repo
        )
        with pytest.raises(SceneRefused, match="was not accepted"):
            check_licence(SDXL, setup)

    def test_a_contract_for_dev_needs_its_record_as_well(self, tmp_path: Path) -> None:
        setup = SceneSetup(tmp_path, backend="diffusers", dev_licence="bfl-commercial:2026-1")
        with pytest.raises(SceneRefused, match="was not accepted"):
            check_licence(DEV, setup)
        check_licence(DEV, replace(setup, backend="http"))

    def test_a_damaged_record_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "models.lock").write_text("{")
        with pytest.raises(SceneRefused, match=r"models\.lock is damaged"):
            check_licence(SDXL, SceneSetup(tmp_path, backend="diffusers"))


class TestTokenFile:
    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o660, 0o620])
    def test_a_file_that_others_can_read_or_change_is_refused(
        self, tmp_path: Path, mode: int
    ) -> None:
        with pytest.raises(SceneRefused, match="chmod 600") as error:
            read_token(self._file(tmp_path, b"hf_secret", mode), "[scenes] token_file")
        assert "hf_secret" not in str(error.value)

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
    def test_a_private_file_is_read(self, tmp_path: Path, mode: int) -> None:
        assert read_token(self._file(tmp_path, b"hf_secret\n", mode), "x") == "hf_secret"

    @pytest.mark.parametrize("raw", [b"", b"\n", b"two words", b"a\nb", b"\xff", b"x" * 5000])
    def test_what_is_no_token_is_refused(self, tmp_path: Path, raw: bytes) -> None:
        with pytest.raises(SceneRefused, match="holds no token"):
            read_token(self._file(tmp_path, raw, 0o600), "x")

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SceneRefused, match="does not exist"):
            read_token(tmp_path / "absent", "x")

    def _file(self, folder: Path, raw: bytes, mode: int) -> Path:
        path = folder / "token"
        path.write_bytes(raw)
        path.chmod(mode)
        return path


class TestOrigins:
    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ("https://hub/a", "https://hub/b"),
            ("https://hub/a", "https://cdn.example/b"),
            ("http://mirror/a", "http://mirror/b"),
            ("http://127.0.0.1:1/a", "http://127.0.0.1:2/b"),
        ],
    )
    def test_redirects_that_are_followed(self, source: str, target: str) -> None:
        refuse_redirect(source, target)

    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ("https://hub/a", "http://hub/b"),
            ("https://hub/a", "http://cdn.example/b?sig=secret"),
            ("http://mirror/a", "http://other/b"),
            ("https://hub/a", "http://127.0.0.1/b"),
            ("https://hub/a", "file:///etc/passwd"),
            ("https://hub/a", ""),
        ],
    )
    def test_redirects_that_are_not(self, source: str, target: str) -> None:
        with pytest.raises(SceneRefused) as error:
            refuse_redirect(source, target)
        assert "secret" not in str(error.value)

    def test_a_token_does_not_go_unencrypted_over_a_network(self) -> None:
        refuse_open_token("http://127.0.0.1:8080", "x")
        refuse_open_token("https://mirror.example", "x")
        with pytest.raises(SceneRefused, match="unencrypted"):
            refuse_open_token("http://mirror.example", "x")


class TestPurge:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> ModelFolder:
        """Two models of ours, and a file of somebody else's among them."""
        folder = ModelFolder(tmp_path / "scenes")
        for model in (SDXL, SCHNELL):
            path = folder.model_dir(model) / "unet" / "weights.safetensors"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"w" * 1000)
            Claims(folder, model.name).note("weights", [path])
        (folder.model_dir(SDXL) / "mine.txt").write_text("mine")
        return folder

    def test_a_dry_run_removes_nothing(self, folder: ModelFolder) -> None:
        found = doomed(folder)
        assert found.size_bytes == 2000
        assert doomed(folder) == found

    def test_only_what_is_ours_goes(self, folder: ModelFolder) -> None:
        purge(folder)
        left = {path.name for path in folder.root.rglob("*") if path.is_file()}
        assert left == {"mine.txt", "manifest.json", ".manifest.lock", "fetch.lock"}
        assert not folder.model_dir(SCHNELL).exists()
        assert folder.model_dir(SDXL).exists()
        assert Manifest(folder).files() == ()

    def test_one_model_leaves_the_other(self, folder: ModelFolder) -> None:
        purge(folder, "sdxl")
        assert [file.model for file in Manifest(folder).files()] == ["flux.1-schnell"]
        assert (folder.model_dir(SCHNELL) / "unet/weights.safetensors").exists()

    def test_an_accepted_licence_stays_accepted(self, folder: ModelFolder) -> None:
        lock = ModelsLock(folder.lock_file)
        lock.accept("sdxl", "openrail++-m", how="option", repo=SDXL.repo)
        lock.note_fetched("sdxl", "weights", repo=SDXL.repo, revision="0" * 40, files={})
        purge(folder)
        assert lock.acceptance("sdxl") is not None
        assert lock.fetched("sdxl", "weights") is None

    def test_links_are_neither_followed_nor_removed(
        self, folder: ModelFolder, tmp_path: Path
    ) -> None:
        cache = tmp_path / "cache"
        cache.mkdir()
        (cache / "weights.safetensors").write_text("another program's")
        unet = folder.model_dir(SDXL) / "unet"
        (unet / "weights.safetensors").unlink()
        unet.rmdir()
        unet.symlink_to(cache)
        weights = folder.model_dir(SCHNELL) / "unet/weights.safetensors"
        weights.unlink()
        weights.symlink_to(cache / "weights.safetensors")
        found = purge(folder)
        assert (found.files, found.left) == (
            (),
            ("models/flux.1-schnell/unet/weights.safetensors",),
        )
        assert (cache / "weights.safetensors").read_text() == "another program's"
        assert weights.is_symlink()
        assert unet.is_symlink()

    def test_a_manifest_that_names_others_files_is_not_believed(
        self, folder: ModelFolder, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_text("x")
        manifest = json.loads(folder.manifest_file.read_text())
        manifest["files"] |= {"../outside": {"bytes": 1}, str(outside): {"bytes": 1}}
        folder.manifest_file.write_text(json.dumps(manifest))
        purge(folder)
        assert outside.exists()

    def test_two_names_of_a_file_free_its_room_once(self, folder: ModelFolder) -> None:
        weights = folder.model_dir(SDXL) / "unet/weights.safetensors"
        second = folder.onnx_dir(SCHNELL, "fp8") / "t5.data"
        second.parent.mkdir(parents=True)
        second.hardlink_to(weights)
        Claims(folder, SCHNELL.name).note("onnx", [second])
        assert doomed(folder).size_bytes == 2000
