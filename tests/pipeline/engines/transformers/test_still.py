"""A still, which is its picture twice, against the library's official way with an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import IMAGE, Form, free_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of, upload
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network, load_network
from edgewatch.pipeline.engines.transformers.scoring import Scorer
from edgewatch.tools.vqa.pictures import Sides, fitting, scaled
from tests.fakes.tiny_qwen import PIXEL_RULES

CPU = torch.device("cpu")
QUESTION = "Is anybody there? Answer with yes or no."
TOKENS = 6
LIMITS = {"min_pixels": 3136, "max_pixels": 40_000}
SIDES = Sides(LIMITS["min_pixels"], LIMITS["max_pixels"], "the model's own")

official = pytest.importorskip(
    "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl",
    reason="before transformers 5 it has no module without torchvision",
)


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> Network:
    return load_network(checkpoint, CPU)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Larger than the limits, and of no round size."""
    random = np.random.default_rng(5)
    pixels = random.integers(0, 256, (35, 45, 3), np.uint8)
    return Image.fromarray(pixels.repeat(7, axis=0).repeat(7, axis=1))


@pytest.fixture(scope="module")
def made(picture: Image.Image) -> Any:
    """What the official image processor makes of it: pixel_values, image_grid_thw."""
    rules = {key: PIXEL_RULES[key] for key in ("image_mean", "image_std")}
    processor = official.Qwen2VLImageProcessorPil(**rules, **LIMITS)
    return processor(images=[picture], return_tensors="pt")


@pytest.fixture(scope="module")
def still(picture: Image.Image) -> AskedClip:
    frames = np.stack([scaled(picture, SIDES)] * 2)
    return AskedClip(frames, 2.0, "", QUESTION, still=True)


@pytest.mark.parametrize(
    ("height", "width"), [(480, 640), (3000, 2000), (20, 20), (250, 250), (42, 70), (1100, 1400)]
)
def test_sizes_are_those_of_the_official_processor(height: int, width: int) -> None:
    wanted = official.smart_resize(height, width, factor=28, **LIMITS)
    assert fitting(height, width, SIDES) == wanted


def test_patches_and_features_are_those_of_an_image(
    network: Network, checkpoint: Checkpoint, made: Any, still: AskedClip
) -> None:
    grid = grid_of(still.frames.shape, checkpoint.pixels)
    assert made["image_grid_thw"].tolist() == [[1, grid.rows * 2, grid.columns * 2]]
    ours = network.patcher.patches(upload([still.frames], CPU))
    assert ours.shape == made["pixel_values"].shape
    assert (ours - made["pixel_values"]).abs().max().item() <= 1e-6
    seen = network.see(ours, grid, 1)
    with torch.inference_mode():
        theirs = network.model.model.visual(made["pixel_values"], made["image_grid_thw"])
    theirs = getattr(theirs, "pooler_output", theirs)
    assert (seen.reshape(theirs.shape) - theirs).abs().max().item() <= 1e-5


def test_reply_is_that_of_the_library_to_an_image(
    tiny: Path, network: Network, checkpoint: Checkpoint, made: Any, still: AskedClip
) -> None:
    """Its tokens stand in the same places, with the image's pad for the video's; the library
    counts positions itself, and reads the whole text anew for each token."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    bare = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny, dtype=torch.float32).eval()
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    pad = bare.config.image_token_id
    count = int(made["image_grid_thw"].prod()) // 4
    ids = scripts.encode(free_question(QUESTION).chat(IMAGE))
    place = ids.index(pad)
    script = scripts.script(free_question(QUESTION))
    assert (tuple(ids[:place]), tuple(ids[place + 1 :])) == (script.before, script.after)
    text = [*ids[:place], *[pad] * count, *ids[place + 1 :]]
    written: list[int] = []
    for _ in range(TOKENS):
        tokens = torch.tensor([[*text, *written]])
        with torch.inference_mode():
            logits = bare(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                mm_token_type_ids=(tokens == pad).long(),
                **made,
                use_cache=False,
            ).logits
        token = int(logits[0, -1].argmax())
        if token in checkpoint.stop_tokens:
            break
        written.append(token)
    scorer = Scorer(
        network,
        scripts,
        answer_tokens(scripts.encode, Form()),
        Form(words_tokens=TOKENS),
        rules=checkpoint.pixels,
        tokens_per_second=checkpoint.tokens_per_second,
        video_token=checkpoint.video_token,
        stop_tokens=checkpoint.stop_tokens,
    )
    assert written
    assert scorer.words(still, lambda: None) == scripts.decode(written)
