from __future__ import annotations

import json

import pytest

pytest.importorskip("diffusers", reason="the extra `scenes` is not installed")

from bench.scene_images import main


@pytest.mark.long
def test_it_prints_a_line_a_precision_with_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--precision", "fp32", "--size", "64x64"]) == 0
    about, row = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert about["model"] == "flux.1-schnell"
    assert row["finite"]
    assert row["images_per_second"] > 0
    assert {way["layout"] for way in row["memory"]} == {"resident", "staged", "one_at_a_time"}


def test_a_precision_that_it_cannot_measure_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--quick", "--precision", "fp4"])
