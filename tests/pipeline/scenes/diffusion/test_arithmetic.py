"""The arithmetic around the networks, against diffusers' own and by its laws."""

from __future__ import annotations

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusion import flux, sdxl
from edgewatch.pipeline.scenes.diffusion.facts import (
    DiffusionFacts,
    facts_of_json,
    facts_of_pipeline,
)
from edgewatch.pipeline.scenes.diffusion.noise import flux_noise, latent_noise, sdxl_noise

DEV = flux.FluxSchedule(by_size=True, shift=3.0)


def test_the_same_seed_is_the_same_noise_whatever_the_batch() -> None:
    one, two = flux_noise(7, (128, 96)), flux_noise(7, (128, 96), batch=2)
    assert one.shape == (1, 16, 12, 16)
    assert one.dtype == np.float32
    assert np.array_equal(one, two[:1])
    assert not np.array_equal(two[0], two[1])
    assert abs(float(one.mean())) < 0.1
    assert 0.9 < float(one.std()) < 1.1
    assert not np.array_equal(one, flux_noise(8, (128, 96)))


def test_noise_never_changes_from_one_version_to_the_next() -> None:
    """Pictures that were noted by seed alone would be others."""
    first = sdxl_noise(42, (64, 64)).ravel()[:3]
    assert first == pytest.approx([0.18170474, -1.2426393, -0.551553], abs=1e-6)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(SceneRefused, match="seed"):
        latent_noise(seed, (1,))


@pytest.mark.parametrize("size", [(1080, 1920), (8, 16), (0, 16), (100, 64)])
def test_sizes_that_would_be_cut_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(SceneRefused, match="multiples of 16"):
        flux_noise(1, size)


def test_unpack_undoes_pack() -> None:
    latents = latent_noise(3, (2, 4, 6, 10))
    tokens = flux.pack(latents)
    assert tokens.shape == (2, 15, 16)
    assert np.array_equal(flux.unpack(tokens, 6, 10), latents)
    # A token is a block of 2x2 latents, channel after channel.
    assert np.array_equal(tokens[0, 0].reshape(4, 2, 2), latents[0, :, :2, :2])


def test_places_of_tokens_are_their_rows_and_columns() -> None:
    ids = flux.image_ids(4, 6)
    assert ids.tolist() == [[0, row, column] for row in range(2) for column in range(3)]
    assert not flux.text_ids(5).any()


@pytest.mark.parametrize("steps", [1, 4, 28])
@pytest.mark.parametrize("tokens", [256, 4032])
def test_flux_levels_are_those_of_diffusers(steps: int, tokens: int) -> None:
    diffusers = pytest.importorskip("diffusers", reason="the extra scenes is not installed")
    for schedule in (flux.FluxSchedule(), DEV):
        theirs = diffusers.FlowMatchEulerDiscreteScheduler(
            shift=schedule.shift, use_dynamic_shifting=schedule.by_size
        )
        mu = 0.5 + (1.15 - 0.5) / (4096 - 256) * (tokens - 256)
        theirs.set_timesteps(
            sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu if schedule.by_size else None
        )
        ours = schedule.sigmas(steps, tokens)
        assert ours.shape == (steps + 1,)
        assert ours == pytest.approx(theirs.sigmas.numpy(), abs=1e-6)


@pytest.mark.parametrize("steps", [1, 4, 30])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_sdxl_levels_are_those_of_diffusers(steps: int) -> None:
    diffusers = pytest.importorskip("diffusers", reason="the extra scenes is not installed")
    theirs = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )
    theirs.set_timesteps(steps)
    times, sigmas = sdxl.SdxlSchedule().levels(steps)
    assert times.tolist() == theirs.timesteps.tolist()
    assert sigmas == pytest.approx(theirs.sigmas.numpy(), rel=2e-6)


def test_without_guidance_sdxl_runs_one_picture_a_step() -> None:
    """And leaves out the prompt that there is not."""
    seen: list[int] = []

    def run(part: str, /, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        assert part == "unetxl"
        seen.append(len(arrays["sample"]))
        assert len(arrays["time_ids"]) == len(arrays["text_embeds"]) == len(arrays["sample"])
        return {"latent": np.zeros_like(arrays["sample"])}

    text = sdxl.SdxlText(np.ones((1, 77, 8), np.float32), np.ones((1, 4), np.float32))
    noise = sdxl_noise(1, (64, 64))
    more = {"size": (64, 64), "steps": 2, "schedule": sdxl.SdxlSchedule()}
    still = sdxl.denoise(run, noise, text, guidance=1.0, **more)  # type: ignore[arg-type]
    sdxl.denoise(run, noise, text, guidance=5.0, **more)  # type: ignore[arg-type]
    assert seen == [1, 1, 2, 2]
    largest = sdxl.SdxlSchedule().levels(2)[1].max()
    assert still == pytest.approx(noise * np.sqrt(largest**2 + 1))


def test_facts_survive_being_written() -> None:
    facts = DiffusionFacts("flux", 16, 8, 0.3611, 0.1159, 512, guided=True, schedule=DEV)
    assert facts_of_json(facts.as_json()) == facts
    assert facts.multiple == 16
    with pytest.raises(SceneUnavailable, match="export again"):
        facts_of_json({"family": "flux"})


@pytest.mark.parametrize(
    "change", [{"use_karras_sigmas": True}, {"shift_terminal": 0.1}, {"_class_name": "Heun"}]
)
def test_a_schedule_that_is_not_known_is_refused(change: dict[str, object]) -> None:
    """It would paint, but not what the model was made for."""
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0} | change
    vae = {"block_out_channels": [1, 2, 3, 4], "latent_channels": 16, "scaling_factor": 0.36}
    with pytest.raises(SceneUnavailable, match="known here"):
        facts_of_pipeline({"_class_name": "FluxPipeline"}, {}, vae, scheduler, 256)
