"""Truth on disk: masks survive exactly, and what is broken is named with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.clips.rle import mask_of, runs_of
from edgewatch.pipeline.scenes.clips.truth_file import line_of, read_truth
from edgewatch.pipeline.scenes.truth import FrameTruth, Mask


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_mask_read_back_is_the_same_mask(mask: Mask) -> None:
    runs = json.loads(json.dumps(runs_of(mask)))
    again = mask_of(runs, (mask.shape[1], mask.shape[0]))
    assert again.dtype == np.bool_
    np.testing.assert_array_equal(again, mask)
    assert sum(runs["counts"]) == mask.size
    assert all(runs["counts"][1:])


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [2, 3], "counts": [5]},
        {"size": [2, 3], "counts": [7, -1]},
        {"size": [2, 3], "counts": [1, 0, 5]},
        {"size": [3, 2], "counts": [6]},
        {"size": [2, 3], "counts": "many"},
        {"counts": [6]},
    ],
)
def test_broken_run_lengths_are_refused(runs: dict[str, Any]) -> None:
    with pytest.raises(SceneInvalid, match="mask"):
        mask_of(runs, (3, 2))


def test_a_line_has_the_box_of_its_mask_and_a_twin_has_none(tmp_path: Path) -> None:
    mask = np.zeros((6, 8), np.bool_)
    mask[2:4, 3:7] = True
    path = tmp_path / "truth.jsonl"
    path.write_text(
        line_of(0, FrameTruth(0.0), {"M": [[1, 0, 0], [0, 1, 0]]})
        + line_of(1, FrameTruth(0.5, "debris", mask), None)
        + line_of(2, FrameTruth(1.0, None, mask), None)
    )
    normal, debris, twin = read_truth(path, (8, 6))
    assert (normal.label, normal.boxes, normal.mask) == ("normal", (), None)
    assert debris.boxes == ((3.0, 2.0, 7.0, 4.0),)
    assert debris.anomalous
    assert not twin.anomalous
    assert twin.boxes == ()
    np.testing.assert_array_equal(twin.mask, mask)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "no json",
        '{"f":0,"t":0,"label":"normal","boxes":[{"xyxy":[0,0,9,1]}],"mask_rle":null}',
        '{"f":0,"t":0,"label":"normal","boxes":[{"xyxy":[1,1,1,2]}],"mask_rle":null}',
        '{"f":0,"t":0,"label":"normal","boxes":[{"xyxy":[0,0,NaN,1]}],"mask_rle":null}',
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text(line_of(0, FrameTruth(0.0), None) + line + "\n")
    with pytest.raises(SceneInvalid, match=r"truth\.jsonl, line 2"):
        list(read_truth(path, (8, 6)))
