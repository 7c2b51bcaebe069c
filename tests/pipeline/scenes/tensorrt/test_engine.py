"""Exports and plans of tiny models: what `build` makes of them, and the pictures they make.

All that needs an export is in this one module: torch's exporter takes seconds for Flux, and a
module is run by one worker.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.embeddings import Embedding, Embeddings
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.memory import needed_bytes, plan_memory, reserve_of
from edgewatch.pipeline.scenes.models.lock import ModelsLock
from edgewatch.pipeline.scenes.models.manifest import Manifest
from edgewatch.pipeline.scenes.models.purging import purge
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.tensorrt.engine import TensorRTEngine
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.pipeline.scenes.tensorrt.plans import COMPONENTS
from edgewatch.tools.scene_commands.build import main
from tests.fakes.tensorrt import ELEVEN, TEN, Gpu, installed
from tests.fakes.tiny_diffusion import tiny_flux, tiny_flux_dev, tiny_sdxl
from tests.pipeline.scenes.tensorrt.tiny_models import PROMPT, TinyModel, build_tiny, tiny_model

if find_spec("diffusers") is None or find_spec("onnxscript") is None:
    pytest.skip("the extra scenes is not installed", allow_module_level=True)

WIDE, SQUARE = (96, 64), (64, 64)
LIMIT = 1e-3 / 20
"""What is asked is 1e-3; float32 sums in another order stay far below."""


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """SDXL, exported."""
    return tiny_model(tmp_path_factory.mktemp("sdxl"), "sdxl", tiny_sdxl())


@pytest.fixture(scope="module")
def schnell(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """FLUX.1-schnell, exported."""
    root = tmp_path_factory.mktemp("schnell")
    # The exporter makes millions of objects; to look for garbage among them is a fifth of its time.
    gc.disable()
    try:
        # Weights beside the graph, as the large model has them.
        return tiny_model(root, "flux.1-schnell", tiny_flux(), inline_bytes=0)
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """FLUX.1-dev, with guidance and a shift by size, exported."""
    return tiny_model(tmp_path_factory.mktemp("dev"), "flux.1-dev", tiny_flux_dev())


def _picture(setup: SceneSetup, size: tuple[int, int], seed: int = 7) -> SceneImage:
    engine = TensorRTEngine(setup, available_bytes=lambda _device: 10**12)
    engine.start()
    try:
        return engine.generate(PROMPT, seed, size)
    finally:
        engine.close()


def _difference(model: TinyModel, setup: SceneSetup, size: tuple[int, int]) -> float:
    picture = _picture(setup, size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.float32
    expected = model.reference(7, size)
    assert expected.std() > 0.05  # a flat picture would prove nothing
    return float(np.abs(np.clip(picture, 0, 1) - expected).max())


@pytest.mark.parametrize("size", [WIDE, pytest.param(SQUARE, marks=pytest.mark.long)])
def test_sdxl_on_onnxruntime_is_the_picture_of_diffusers(
    sdxl: TinyModel, size: tuple[int, int]
) -> None:
    """Guided, with zeros for the prompt that there is not."""
    assert _difference(sdxl, sdxl.setup, size) < LIMIT


@pytest.mark.parametrize("size", [WIDE, pytest.param(SQUARE, marks=pytest.mark.long)])
def test_schnell_on_onnxruntime_is_the_picture_of_diffusers(
    schnell: TinyModel, size: tuple[int, int]
) -> None:
    """One export serves both sizes."""
    assert _difference(schnell, schnell.setup, size) < LIMIT


@pytest.mark.long
@pytest.mark.parametrize("size", [WIDE, SQUARE])
def test_dev_on_onnxruntime_is_the_picture_of_diffusers(
    dev: TinyModel, size: tuple[int, int]
) -> None:
    """With guidance as an input, and noise levels that depend on the size."""
    assert _difference(dev, dev.setup, size) < LIMIT


@pytest.mark.long
@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_plans_make_the_picture_of_diffusers(sdxl: TinyModel, version: str) -> None:
    setup = sdxl.with_device("auto")
    with installed(version):
        build_tiny(setup, WIDE)
        assert _difference(sdxl, setup, WIDE) < LIMIT


def test_plans_of_schnell_make_the_picture_of_diffusers(schnell: TinyModel) -> None:
    setup = schnell.with_device("cuda:0")
    with installed(ELEVEN):
        build_tiny(setup, SQUARE)
        assert _difference(schnell, setup, SQUARE) < LIMIT


@pytest.mark.long
@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_plans_of_dev_make_the_picture_of_diffusers(dev: TinyModel, version: str) -> None:
    setup = dev.with_device("auto")
    with installed(version):
        build_tiny(setup, WIDE)
        assert _difference(dev, setup, WIDE) < LIMIT


def test_a_plan_of_another_machine_is_refused_in_words(sdxl: TinyModel) -> None:
    setup = sdxl.with_device("auto")
    with installed(TEN):
        build_tiny(setup, SQUARE)
    with (
        installed(TEN, Gpu(name="NVIDIA RTX", compute=(12, 0))),
        pytest.raises(SceneUnavailable, match=r"compute capability 12\.1, not 12\.0"),
    ):
        _picture(setup, SQUARE)


def test_a_size_that_was_not_built_is_refused(sdxl: TinyModel) -> None:
    with installed(TEN), pytest.raises(SceneUnavailable, match="no plan of unetxl"):
        _picture(sdxl.with_device("auto"), (128, 128))


def test_parts_leave_memory_when_there_is_little(sdxl: TinyModel) -> None:
    """Text encoders go when they have read; a prompt that was read is not read again."""
    setup, model = sdxl.setup, sdxl.setup.chosen_model
    exports = ExportFolder(setup.folder.onnx_dir(model, "fp32"), "fp32")
    found = {name: exports.part(part) for part, name in COMPONENTS.items()}
    weights = {name: one.size_bytes for name, one in found.items() if one is not None}
    weights["text_encoder_2"] = exports.part("clip2").size_bytes  # type: ignore[union-attr]
    least = plan_memory(model, "fp32", SQUARE, layout="staged", context_bytes=0, weights=weights)
    told: list[str] = []
    engine = TensorRTEngine(
        setup,
        available_bytes=lambda _device: needed_bytes(least, 0, reserve_of(None)),
        on_part=lambda part, done, _of: None if done else told.append(part),
    )
    engine.start()
    first = engine.generate(PROMPT, 7, SQUARE)
    assert told == ["clip", "clip2", "unetxl", "vae"]
    second = engine.generate(PROMPT, 7, SQUARE)
    assert told[4:] == []
    engine.generate("another prompt", 7, SQUARE)
    assert told[4:] == ["clip", "clip2"]
    engine.close()
    assert engine.plan is not None
    assert engine.plan.layout == "staged"
    assert np.array_equal(first, second)


def test_too_little_memory_is_refused(sdxl: TinyModel) -> None:
    engine = TensorRTEngine(sdxl.setup, available_bytes=lambda _device: 10**9)
    engine.start()
    with pytest.raises(SceneRefused, match="not enough memory"):
        engine.generate(PROMPT, 7, SQUARE)
    engine.close()


def test_a_size_that_would_be_shrunk_is_refused(sdxl: TinyModel) -> None:
    with pytest.raises(SceneRefused, match="multiples of 4"):
        _picture(sdxl.setup, (66, 70))


def test_a_licence_that_was_not_accepted_is_refused(sdxl: TinyModel) -> None:
    setup = dataclasses.replace(sdxl.setup, model="flux.1-schnell")
    with pytest.raises(SceneRefused, match="licence"):
        TensorRTEngine(setup).start()


def test_nan_is_named_by_its_part(sdxl: TinyModel) -> None:
    """A picture of NaN would be black once it is rounded."""
    from edgewatch.pipeline.scenes.tensorrt.tensors import fit_output

    with pytest.raises(SceneInvalid, match="unetxl gave 1 of 3 values of latent"):
        fit_output("unetxl", "latent", np.array([1.0, np.nan, 2.0], np.float16))
    assert sdxl.setup.model == "sdxl"


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
    assert listed == {"weights", "onnx", "plan"}


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


def test_exports_that_were_fetched_need_no_weights(sdxl: TinyModel, tmp_path: Path) -> None:
    """`fetch --onnx` brings networks and configurations into one folder, and nothing else."""
    setup = dataclasses.replace(sdxl.setup, root=tmp_path)
    model = setup.chosen_model
    ours = sdxl.setup.folder.onnx_dir(model, "fp32")
    target = setup.folder.onnx_dir(model, "fp32")
    for part in ("clip", "clip2", "unetxl", "vae"):
        shutil.copytree(ours / part, target / f"{part}.opt")
    side = ("model_index.json", "*/config.json", "scheduler/*.json", "tokenizer*/*")
    for pattern in side:
        for path in sdxl.source.glob(pattern):
            place = target / path.relative_to(sdxl.source)
            place.parent.mkdir(exist_ok=True)
            shutil.copy(path, place)
    ModelsLock(setup.folder.lock_file).accept("sdxl", model.licence, how="test", repo=model.repo)
    build_tiny(setup, WIDE, tensorrt=False)
    assert not setup.folder.model_dir(model).exists()
    engine = TensorRTEngine(setup)
    engine.start()
    engine.close()
    (target / "facts.json").unlink()  # as before the first build
    assert ExportFolder(target, "fp32").facts(tmp_path / "none", 77).family == "sdxl"


def test_purge_leaves_nothing_of_ours_and_all_that_is_not(sdxl: TinyModel, tmp_path: Path) -> None:
    root = tmp_path / "scenes"
    shutil.copytree(sdxl.setup.root, root)
    setup = dataclasses.replace(sdxl.with_device("auto"), root=root)
    foreign = [root / "onnx/sdxl/fp32/vae/notes.txt", root / "plans/0a/plan", root / "mine"]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody's")
    with installed(ELEVEN):
        build_tiny(setup, SQUARE)
    # As the backend `diffusers` keeps what it has read; its own test looks at that.
    Embeddings(
        setup.folder.embeddings_dir(setup.chosen_model),
        model="sdxl",
        precision="fp32",
        revision="1",
        manifest=Manifest(setup.folder),
    ).write(PROMPT, 77, Embedding(np.ones((1, 77, 64), np.float32), np.ones((1, 32), np.float32)))
    listed = {file.what for file in Manifest(setup.folder).files()}
    assert listed == {"weights", "onnx", "plan", "embedding"}
    assert not list(setup.folder.plans_dir().glob(".*"))
    purge(setup.folder)
    bookkeeping = {"manifest.json", "models.lock", "fetch.lock", ".manifest.lock"}
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert left == bookkeeping | {path.relative_to(root).as_posix() for path in foreign}


@pytest.mark.long
def test_half_precision_with_weights_beside_the_graphs(tmp_path: Path) -> None:
    """As the large models are exported: the VAE stays in 32 bits, all weights lie in one file."""
    half = tiny_model(tmp_path, "sdxl", tiny_sdxl(), "fp16", inline_bytes=0)
    folder = ExportFolder(half.setup.folder.onnx_dir(half.setup.chosen_model, "fp16"), "fp16")
    found = {part: folder.part(part) for part in ("clip", "clip2", "unetxl", "vae")}
    kinds = {}
    for part, one in found.items():
        assert one is not None
        assert set(one.files) == {"model.onnx", "model.onnx.data"}
        weights = sum(path.stat().st_size for path in _weights_of(half, part))
        assert one.files["model.onnx.data"][0] > 0.4 * weights
        kinds[part] = {tensor.dtype for tensor in one.inputs}
    assert kinds["unetxl"] == {"float16", "float32"}  # the timestep stays exact
    assert kinds["vae"] == {"float32"}
    picture = np.clip(_picture(half.setup, WIDE), 0, 1)
    assert np.abs(picture - half.reference(7, WIDE)).mean() < 0.02


def _weights_of(model: TinyModel, part: str) -> list[Path]:
    names = {"clip": "text_encoder", "clip2": "text_encoder_2", "unetxl": "unet", "vae": "vae"}
    return list((model.source / names[part]).glob("*.safetensors"))


def test_a_prompt_that_would_be_cut_is_refused(sdxl: TinyModel) -> None:
    engine = TensorRTEngine(sdxl.setup, available_bytes=lambda _device: 10**12)
    engine.start()
    with pytest.raises(SceneRefused, match="has 82 tokens, and the model reads 77: make it sh"):
        engine.generate("road " * 20, 7, SQUARE)
    engine.close()
