"""`edgewatch scenes build`: what is refused beforehand, and what is told; see test_engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.models.catalogue import model_named
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.tools.scene_commands.build import Progress, refuse_full_disk, refuse_short_memory


def test_a_small_disk_and_little_memory_are_refused_first(tmp_path: Path) -> None:
    flux = model_named("flux.1-schnell")
    with pytest.raises(SceneRefused, match=r"67\.\d GB more|69\.\d GB more"):
        refuse_full_disk(flux, "bf16", ExportFolder(tmp_path, "bf16"), 10**10, tensorrt=True)
    with pytest.raises(SceneRefused, match="Stop the judge"):
        refuse_short_memory(flux, "bf16", 40 * 10**9, 0)
    refuse_short_memory(flux, "bf16", 80 * 10**9, 0)


def test_progress_is_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(terminal=False)
    progress.tell("building vae")
    assert progress.steps("vae", "Tactics", 1, 2)
    progress.end()
    assert capsys.readouterr().err == "building vae\n"
    shown = Progress(terminal=True)
    shown.steps("vae", "Tactics", 1, 2)
    assert "[##########..........] Tactics 1/2" in capsys.readouterr().err
