"""`edgewatch scenes build`: what is kept, what is made anew, what is refused beforehand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.models.manifest import Manifest
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.tools.scene_commands.build import (
    Progress,
    main,
    refuse_full_disk,
    refuse_short_memory,
)
from tests.fakes.tensorrt import ELEVEN, installed
from tests.pipeline.scenes.tensorrt.tiny_models import TinyModel, build_tiny


def test_a_second_build_keeps_what_is_there(sdxl: TinyModel) -> None:
    setup = sdxl.with_device("auto")
    with installed(ELEVEN):
        first = build_tiny(setup, (32, 32))
        second = build_tiny(setup, (32, 32))
        other = build_tiny(setup, (32, 64))
    assert [row.part for row in first] == ["clip", "clip2", "unetxl", "vae"]
    assert all(row.export_seconds == 0 for row in second)
    assert [row.key for row in first] == [row.key for row in second]
    # The text encoders do not see the size; the others are built for it.
    same = [one.key == another.key for one, another in zip(first, other, strict=True)]
    assert same == [True, True, False, False]
    listed = {file.what for file in Manifest(setup.folder).files()}
    assert listed == {"onnx", "plan"}


def test_an_export_that_changed_is_not_built_from(sdxl: TinyModel) -> None:
    model = sdxl.setup.chosen_model
    folder = ExportFolder(sdxl.setup.folder.onnx_dir(model, "fp32"), "fp32")
    exported = folder.part("vae")
    assert exported is not None
    content = exported.graph.read_bytes()
    try:
        exported.graph.write_bytes(content[:-1] + b"x")
        with pytest.raises(SceneUnavailable, match="has changed"):
            folder.verify(exported)
        exported.graph.write_bytes(content[:-1])
        assert folder.part("vae") is None
    finally:
        exported.graph.write_bytes(content)
    folder.verify(exported)


def test_without_tensorrt_the_error_names_what_is_left(sdxl: TinyModel) -> None:
    with pytest.raises(SceneUnavailable, match="--runtime onnxruntime"):
        build_tiny(sdxl.with_device("auto"), (64, 64))


def test_a_small_disk_and_little_memory_are_refused_first(tmp_path: Path) -> None:
    from edgewatch.pipeline.scenes.models.catalogue import model_named

    flux = model_named("flux.1-schnell")
    with pytest.raises(SceneRefused, match=r"67\.\d GB more|69\.\d GB more"):
        refuse_full_disk(flux, "bf16", ExportFolder(tmp_path, "bf16"), 10**10, tensorrt=True)
    with pytest.raises(SceneRefused, match="Stop the judge"):
        refuse_short_memory(flux, "bf16", 40 * 10**9, 0)
    refuse_short_memory(flux, "bf16", 80 * 10**9, 0)


def test_a_precision_that_only_its_maker_can_export_is_refused(sdxl: TinyModel) -> None:
    setup = dataclasses.replace(sdxl.setup, precision="fp8")
    with pytest.raises(SceneRefused, match="calibrated by their makers"):
        build_tiny(setup, (64, 64), tensorrt=False)


def test_the_command_prints_one_document(
    sdxl: TinyModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ["--model", "sdxl", "--precision", "fp32", "--dir", str(sdxl.setup.root)]
    options += ["--runtime", "onnxruntime", "--size", "64x64", "--json"]
    (tmp_path / "edgewatch.toml").write_text("")
    options += ["--config", str(tmp_path / "edgewatch.toml")]
    large = 10**12
    assert main(options, available_bytes=lambda: large, free_disk_bytes=lambda _root: large) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["part"] for row in document["parts"]] == ["clip", "clip2", "unetxl", "vae"]
    assert all(row["export_bytes"] > 0 for row in document["parts"])


def test_progress_is_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(terminal=False)
    progress.tell("building vae")
    assert progress.steps("vae", "Tactics", 1, 2)
    progress.end()
    assert capsys.readouterr().err == "building vae\n"
    shown = Progress(terminal=True)
    shown.steps("vae", "Tactics", 1, 2)
    assert "[##########..........] Tactics 1/2" in capsys.readouterr().err
