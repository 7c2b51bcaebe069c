"""The wrapped networks, run by torch itself: the names are right, the picture is diffusers'.

Export takes seconds, this does not; so dev, with its guidance, is always gone through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.pipeline.scenes.diffusers.libraries import quiet_libraries
from edgewatch.pipeline.scenes.diffusion import flux
from edgewatch.pipeline.scenes.diffusion.noise import flux_noise
from edgewatch.pipeline.scenes.diffusion.prompts import Prompts
from edgewatch.pipeline.scenes.tensorrt.export import write_graph
from edgewatch.pipeline.scenes.tensorrt.export_folder import facts_of_folder
from edgewatch.pipeline.scenes.tensorrt.networks import (
    example_inputs,
    load_network,
    networks_of,
    part_precision,
)
from edgewatch.pipeline.scenes.tensorrt.ort_runner import OrtRunner
from edgewatch.pipeline.scenes.tensorrt.weights_file import DATA_NAME
from tests.fakes.tiny_diffusion import T5_LENGTH, VAE_FACTOR, tiny_flux_dev


@pytest.mark.parametrize("size", [(96, 64), pytest.param((64, 128), marks=pytest.mark.long)])
def test_the_networks_of_dev_make_the_picture_of_diffusers(size: tuple[int, int]) -> None:
    import diffusers
    import torch

    folder = tiny_flux_dev()
    facts = facts_of_folder(folder, T5_LENGTH)
    networks = {network.part: network for network in networks_of(facts)}
    with quiet_libraries():
        modules = {
            part: load_network(network, folder, torch.float32) for part, network in networks.items()
        }
        pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert not any(module.training for one in modules.values() for module in one.modules())

    def run(part: str, /, **arrays: Any) -> dict[str, Any]:
        network = networks[part]
        with torch.no_grad():
            found = modules[part](*(torch.from_numpy(arrays[name]) for name in network.inputs))
        assert len(arrays) == len(network.inputs)
        values = found if isinstance(found, tuple) else (found,)
        return {name: value.numpy() for name, value in zip(network.outputs, values, strict=True)}

    noise = flux_noise(5, size, channels=facts.latent_channels, factor=VAE_FACTOR)
    text = flux.encode(run, *Prompts(folder, "flux", T5_LENGTH).ids("a van"))
    assert isinstance(facts.schedule, flux.FluxSchedule)
    latents = flux.denoise(run, noise, text, steps=3, schedule=facts.schedule, guidance=3.5)
    picture = flux.decode(run, latents, scale=facts.scale, shift=facts.shift)[0]
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        "a van",
        width=size[0],
        height=size[1],
        num_inference_steps=3,
        guidance_scale=3.5,
        max_sequence_length=T5_LENGTH,
        latents=torch.from_numpy(flux.pack(noise)),
        output_type="np",
    ).images[0]
    assert np.abs(np.clip(picture, 0, 1) - expected).max() < 5e-5


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of itself
def test_a_text_encoder_in_half_precision_reads_the_same_with_its_weights_beside_it(
    tmp_path: Path,
) -> None:
    import torch

    folder = tiny_flux_dev()
    facts = facts_of_folder(folder, T5_LENGTH)
    network = networks_of(facts)[0]
    assert network.part == "clip"
    ids = np.arange(77, dtype=np.int32)[None]
    with torch.no_grad(), quiet_libraries():
        module = load_network(network, folder, torch.float16)
        inputs = example_inputs(network, facts, module, torch.float16)
        write_graph(network, module, inputs, tmp_path / "model.onnx", inline_bytes=0)
        expected = load_network(network, folder, torch.float32)(torch.from_numpy(ids))[0].numpy()
    weights = sum(path.stat().st_size for path in (folder / "text_encoder").glob("*.safetensors"))
    assert (tmp_path / "model.onnx").stat().st_size < weights / 2
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", DATA_NAME}
    runner = OrtRunner({"clip": tmp_path / "model.onnx"}, threads=1)
    found = runner.run("clip", input_ids=ids)["text_embeddings"]
    assert np.abs(found - expected).max() < 0.02
    runner.close()


def test_parts_that_fail_in_half_precision_are_kept_out_of_it() -> None:
    assert part_precision("sdxl", "vae", "fp16") == "fp32"
    assert part_precision("flux", "t5", "fp16") == "bf16"
    assert part_precision("flux", "transformer", "fp4") == "fp4"
    assert part_precision("flux", "vae", "fp4") == "bf16"
