"""The real backend with tiny real pipelines, offline, on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("diffusers") is None:
    pytest.skip("the extra `scenes` is not installed", allow_module_level=True)

import torch

from edgewatch.pipeline.errors import SceneError, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.engine import DiffusersEngine
from edgewatch.pipeline.scenes.diffusers.libraries import quiet_libraries
from edgewatch.pipeline.scenes.diffusers.precision import Numbers, numbers_of
from edgewatch.pipeline.scenes.diffusion.flux import pack
from edgewatch.pipeline.scenes.diffusion.noise import flux_noise
from edgewatch.pipeline.scenes.memory import needed_bytes
from edgewatch.pipeline.scenes.models.catalogue import model_named
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.manifest import Manifest
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.validation import compare
from tests.fakes.scene_models import scene_root
from tests.fakes.tiny_diffusion import tiny_flux

SIZE = (96, 64)
PROMPT = "a road"
PLENTY = 64 * 2**30
NETWORKS = ("text_encoder", "text_encoder_2", "transformer", "unet", "vae")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return scene_root(tmp_path_factory.mktemp("scenes"), "flux.1-schnell", "sdxl")


def engine_of(
    root: Path, *, available: int = PLENTY, model: str = "flux.1-schnell", precision: str = "fp32"
) -> DiffusersEngine:
    setup = SceneSetup(
        root=root, backend="diffusers", model=model, precision=precision, steps=2, device="cpu"
    )
    return DiffusersEngine(setup, available_bytes=lambda _device: available)


@pytest.fixture(scope="module")
def flux(root: Path) -> Iterator[DiffusersEngine]:
    engine = engine_of(root)
    engine.start()
    yield engine
    engine.close()


def test_the_same_order_gives_the_same_floats_and_another_seed_or_prompt_does_not(
    flux: DiffusersEngine,
) -> None:
    first = flux.generate(PROMPT, 7, SIZE)
    assert first.dtype == np.float32
    assert first.shape == (64, 96, 3)
    assert np.array_equal(first, flux.generate(PROMPT, 7, SIZE))
    assert np.abs(first - flux.generate(PROMPT, 8, SIZE)).mean() > 0.01
    assert np.abs(first - flux.generate("a yard in snow", 7, SIZE)).mean() > 0.01


def test_it_is_what_diffusers_own_pipeline_makes_of_the_shared_noise(
    flux: DiffusersEngine,
) -> None:
    from diffusers import FluxPipeline

    with quiet_libraries():
        pipeline = FluxPipeline.from_pretrained(tiny_flux(), local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        theirs = pipeline(
            PROMPT,
            width=SIZE[0],
            height=SIZE[1],
            num_inference_steps=2,
            guidance_scale=0.0,
            max_sequence_length=256,
            latents=torch.from_numpy(pack(flux_noise(7, SIZE, channels=4, factor=2))),
            output_type="np",
        ).images[0]
    ours = flux.generate(PROMPT, 7, SIZE)
    assert np.abs(np.clip(ours, 0, 1) - theirs).max() < 1e-5


def test_no_part_is_in_training_mode(flux: DiffusersEngine) -> None:
    flux.generate(PROMPT, 7, SIZE)
    networks = {name: part for name, part in flux.loaded.items() if name in NETWORKS}
    assert networks
    assert not any(part.training for part in networks.values())
    assert not any(p.requires_grad for part in networks.values() for p in part.parameters())


@pytest.mark.parametrize("size", [(66, 64), (64, 70), (40, 64), (64, 800), (0, 64)])
def test_a_size_that_would_be_shrunk_is_refused(
    flux: DiffusersEngine, size: tuple[int, int]
) -> None:
    with pytest.raises(SceneRefused):
        flux.generate(PROMPT, 7, size)


def test_a_prompt_that_would_be_cut_is_refused(flux: DiffusersEngine) -> None:
    with pytest.raises(SceneRefused, match="reads 256: make it shorter"):
        flux.generate("road " * 100, 7, SIZE)


def test_it_can_be_cancelled_between_steps_and_goes_on_afterwards(flux: DiffusersEngine) -> None:
    steps = []

    def told(part: str, done: int, _of: int) -> None:
        if part == "denoise":
            steps.append(done)
            flux.cancel()

    flux.listen(told)
    try:
        with pytest.raises(SceneError, match="cancelled"):
            flux.generate(PROMPT, 7, SIZE)
    finally:
        flux.listen(lambda _part, _done, _of: None)
    assert steps == [1]
    assert flux.generate(PROMPT, 7, SIZE).shape == (64, 96, 3)


def test_a_prompt_known_from_before_needs_no_text_encoder(
    root: Path, flux: DiffusersEngine
) -> None:
    first = flux.generate(PROMPT, 7, SIZE)
    listed = {file.path for file in Manifest(ModelFolder(root)).files()}  # `purge` finds them
    assert listed == {path.relative_to(root).as_posix() for path in root.glob("embeddings/*/*")}
    other = engine_of(root)
    other.start()
    assert np.array_equal(other.generate(PROMPT, 7, SIZE), first)
    assert "text_encoder_2" not in other.loaded
    other.close()
    assert other.loaded == {}


@pytest.mark.long
def test_with_too_little_memory_for_all_the_text_encoders_go_first(
    root: Path, flux: DiffusersEngine
) -> None:
    whole = flux.generate("seen by no engine before", 7, SIZE)
    assert flux.plan is not None
    assert flux.plan.layout == "resident"
    shutil.rmtree(root / "embeddings")
    engine = engine_of(root, available=needed_bytes(flux.plan) - 1)
    engine.start()
    assert np.array_equal(engine.generate("seen by no engine before", 7, SIZE), whole)
    assert engine.plan is not None
    assert engine.plan.layout == "staged"
    assert set(engine.loaded) == {"scheduler", "transformer", "vae"}
    engine.close()


def test_memory_that_went_away_meanwhile_is_noticed_before_a_part_is_loaded(root: Path) -> None:
    there = iter([PLENTY, PLENTY])
    setup = SceneSetup(root=root, backend="diffusers", precision="fp32", steps=2, device="cpu")
    engine = DiffusersEngine(setup, available_bytes=lambda _device: next(there, 2**30))
    engine.start()
    with pytest.raises(SceneRefused, match="less than when it was planned"):
        engine.generate("a prompt that nobody encoded", 7, SIZE)
    assert not set(NETWORKS) & set(engine.loaded)


@pytest.mark.long
def test_fp8_is_near_and_said_to_be_simulated_here(root: Path, flux: DiffusersEngine) -> None:
    engine = engine_of(root, precision="fp8")
    engine.start()
    picture = engine.generate(PROMPT, 7, SIZE)
    psnr_db, _ = compare(picture, flux.generate(PROMPT, 7, SIZE))
    assert 28 < psnr_db < 100
    kinds = {p.dtype for p in engine.loaded["transformer"].parameters()}
    assert torch.float8_e4m3fn in kinds
    assert "simulated" in engine.arithmetic
    engine.close()


def test_sdxl_paints_and_its_vae_stays_in_32_bits(root: Path) -> None:
    engine = engine_of(root, model="sdxl")
    engine.start()
    picture = engine.generate(PROMPT, 7, (128, 128))
    assert picture.shape == (128, 128, 3)
    assert 0.05 < picture.std() < 1.0
    engine.close()
    parts = {one.name: one for one in model_named("sdxl").components}
    assert numbers_of(parts["vae"], "fp16") == Numbers("fp32")
    assert numbers_of(parts["unet"], "fp16") == Numbers("fp16")
    assert numbers_of(parts["unet"], "fp8") == Numbers("bf16", "fp8")


def test_memory_is_asked_for_before_anything_is_loaded(root: Path) -> None:
    engine = engine_of(root, available=8 * 2**30)
    with pytest.raises(SceneRefused, match="not enough memory"):
        engine.start()
    assert engine.loaded == {}


def test_a_licence_that_nobody_accepted_is_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "flux.1-schnell").symlink_to(tiny_flux())
    with pytest.raises(SceneRefused, match="licence"):
        engine_of(tmp_path).start()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("transformer/diffusion_pytorch_model.safetensors", "holds no"),
        ("vae/config.json", "cannot be read"),
    ],
)
def test_what_is_missing_in_a_folder_is_named(tmp_path: Path, damage: str, words: str) -> None:
    scene_root(tmp_path, "flux.1-schnell")
    place = tmp_path / "models" / "flux.1-schnell"
    place.unlink()
    shutil.copytree(tiny_flux(), place)
    (place / damage).unlink()
    with pytest.raises(SceneUnavailable, match=words):
        engine_of(tmp_path).start()


def test_four_bits_say_what_they_need(root: Path) -> None:
    with pytest.raises(SceneUnavailable, match=r"bitsandbytes|CUDA"):
        engine_of(root, precision="fp4").start()


def test_an_engine_that_was_not_started_says_so(root: Path) -> None:
    with pytest.raises(SceneUnavailable, match="was not started"):
        engine_of(root).generate(PROMPT, 7, SIZE)
