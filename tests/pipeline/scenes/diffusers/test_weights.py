from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.libraries import numbers, refuse_wrong_versions
from edgewatch.pipeline.scenes.diffusers.precision import arithmetic, refuse_missing
from edgewatch.pipeline.scenes.diffusers.weights import (
    fingerprint,
    parameters_in,
    variant_of,
    weight_files,
)


def write(file: Path, *shapes: tuple[int, ...]) -> Path:
    tensors = {f"w{n}": {"dtype": "F16", "shape": shape} for n, shape in enumerate(shapes)}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    return file


def test_numbers_are_counted_by_headers_alone(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.safetensors", (3, 4), (5,)), write(tmp_path / "b.safetensors", ())]
    assert parameters_in(files) == 12 + 5 + 1


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x05\0\0\0\0\0\0\0[1,2]", b"\x09" * 9])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)
    with pytest.raises(SceneUnavailable, match=r"a\.safetensors is damaged: fetch"):
        parameters_in([file])


def test_plain_files_go_before_a_variant_and_pickles_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(SceneUnavailable, match="holds no"):
        weight_files(tmp_path)
    half = write(tmp_path / "model.fp16.safetensors", (1,))
    assert weight_files(tmp_path) == (half,)
    assert variant_of([half]) == "fp16"
    plain = write(tmp_path / "model.safetensors", (1,))
    assert weight_files(tmp_path) == (plain,)
    assert variant_of([plain]) is None


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    file = write(tmp_path / "a.safetensors", (3, 4))
    before = fingerprint([file])
    assert fingerprint([file]) == before
    write(file, (4, 3))
    assert fingerprint([file]) != before


def test_versions_are_compared_by_their_numbers() -> None:
    assert numbers("2.13.0+cpu") == (2, 13, 0)
    good = {
        "torch": "2.11.0",
        "diffusers": "0.42.1",
        "transformers": "5.17.0",
        "safetensors": "0.6",
    }
    refuse_wrong_versions(good)
    with pytest.raises(SceneUnavailable, match=r"diffusers 0\.30.*; safetensors >=0.5,<1 is not"):
        refuse_wrong_versions(good | {"diffusers": "0.30", "safetensors": None})


def test_a_precision_says_what_it_is_on_a_device() -> None:
    assert "simulated" in arithmetic("fp8", None)
    assert "simulated" in arithmetic("fp8", (8, 6))
    assert "simulated" not in arithmetic("fp8", (12, 1))
    assert arithmetic("bf16", (9, 0)) == "bf16"


def test_four_bits_name_what_is_missing() -> None:
    refuse_missing("bf16", {}, cuda=False)
    with pytest.raises(SceneUnavailable, match="needs bitsandbytes, not installed"):
        refuse_missing("fp4", {"accelerate": "1"}, cuda=True)
    with pytest.raises(SceneUnavailable, match="needs a CUDA device"):
        refuse_missing("fp4", {"accelerate": "1", "bitsandbytes": "0.49"}, cuda=False)
