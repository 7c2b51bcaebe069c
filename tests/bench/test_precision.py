"""The table of precisions on the tiny model: every row is measured, or says why it is not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("torch") is None or find_spec("transformers") is None:
    pytest.skip("the extra transformers is not installed", allow_module_level=True)

from bench.precision import Plan, main, measure


def test_each_precision_is_a_line_as_soon_as_it_is_known(tmp_path: Path) -> None:
    plan = Plan(rows=("bf16", "fp8", "nvfp4-packed", "int8"), clips=2, quick=True)
    about, bf16, fp8, nvfp4, int8 = measure(None, "tiny", plan, tmp_path)
    assert about["model"] == "tiny, random weights"
    assert [row["precision"] for row in (bf16, fp8, nvfp4, int8)] == list(plan.rows)
    assert bf16["drift_max"] == 0
    assert 0 < fp8["drift_mean"] <= fp8["drift_max"] < 0.5
    assert nvfp4["arithmetic"].startswith("NVFP4 imitated in ")
    assert nvfp4["arithmetic"].endswith("weights unpacked at each call")
    assert nvfp4["stored_gb"] < fp8["stored_gb"] < bf16["stored_gb"]
    assert all(row["ms_batch_8"] > 0 and row["load_seconds"] > 0 for row in (bf16, fp8, nvfp4))
    assert "quantize" in int8.get("left_out", "quantize")


def test_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", "fp8,int3"])
    assert "--rows: int3" in capsys.readouterr().err
