from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.still_file import png_bytes, write_still
from edgewatch.tools.scene_commands.validate import main
from tests.fakes.scene_engine import landscape

SIZE = (96, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_still(landscape("a road", 1, SIZE), tmp_path / "stills", {"seed": 1})
    return tmp_path / "stills"


def test_good_pictures_pass_with_their_figures(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--reference", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:3] == ["size", "std", "entropy"]
    assert out.splitlines()[1].split()[:2] == ["good", "96x64"]
    assert out.splitlines()[-1] == "1 pictures, 0 clips, 0 bad"
    assert main([str(folder), "--reference", str(folder), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["pictures"]
    assert (row["psnr_db"], row["ssim"]) == (100.0, 1.0)


def test_what_is_bad_is_named_and_told_by_the_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "black.png").write_bytes(png_bytes(np.zeros((32, 32, 3), np.uint8)))
    (folder / "torn.png").write_bytes(b"\x89PNG and no more")
    (folder / "empty.jpg").touch()
    (still,) = folder.glob("still-*.png")
    still.write_bytes(png_bytes(np.full((64, 96, 3), 7, np.uint8), {}))
    assert main([str(folder), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["bad"] == 4
    trouble = {Path(row["file"]).name: " ".join(row["trouble"]) for row in document["pictures"]}
    assert "flat" in trouble["black.png"]
    assert "no picture that can be read" in trouble["torn.png"]
    assert "no picture that can be read" in trouble["empty.jpg"]
    assert "its hash differs" in trouble[still.name]
    assert "lacks the mark" in trouble[still.name]


def test_a_reference_that_is_missing_is_bad(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    assert main([str(folder), "--reference", str(tmp_path / "others")]) == 3


def test_nothing_to_examine_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(SceneRefused, match="no PNG, JPEG or clip"):
        main([str(tmp_path)])
    with pytest.raises(SceneRefused, match="does not exist"):
        main([str(tmp_path / "nowhere")])


def test_a_clip_is_examined_by_its_sidecar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it examines is `verify_clip`'s matter; here: it is found, and its failure counts."""
    from edgewatch.pipeline.scenes.clips.sidecar import SUFFIX

    (tmp_path / f"0123456789{SUFFIX}").write_text("{}")
    assert main([str(tmp_path)]) == 3
    assert "0 pictures, 1 clips, 1 bad" in capsys.readouterr().out
