"""What each family's model is given: what the library's own processor gives it, where it has one
that runs without torchvision, else what its source says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from edgewatch.pipeline.engines.families.table import family_of
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form, Question, verdict_question
from edgewatch.pipeline.engines.transformers.general.form import FamilyForm, Source
from edgewatch.pipeline.engines.transformers.general.forms import make_form
from edgewatch.pipeline.engines.transformers.general.fuyu_pixels import FuyuPixels
from edgewatch.pipeline.engines.transformers.general.page_header import under_header
from edgewatch.pipeline.engines.transformers.general.phi4_pixels import Phi4Pixels, stacked
from edgewatch.pipeline.engines.transformers.general.picture_rules import picture_rules
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.asked_clips import asked

Checkpoint = Callable[[str], Path]
QUESTION = Question("Look well.", "Is there smoke?", "")
TEXT = "Question: Look well. Is there smoke? Answer:"


def form_of(directory: Path) -> FamilyForm:
    config = json.loads((directory / "config.json").read_text())
    return make_form(Source(family_of(config["model_type"]), directory, config))


def processor_of(directory: Path) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(directory)


def middle(clip: AskedClip) -> Image.Image:
    return Image.fromarray(clip.frames[len(clip.frames) // 2])


@pytest.mark.parametrize(
    ("name", "options"),
    [("blip-2", {}), ("blip-2 with T5", {}), ("kosmos-2", {"num_image_tokens": 8})],
)
def test_question_and_picture_are_what_the_librarys_processor_makes_of_them(
    checkpoint: Checkpoint, name: str, options: dict[str, Any]
) -> None:
    clip = asked(height=112, width=140)
    ours = form_of(checkpoint(name)).inputs(clip, QUESTION)
    theirs = processor_of(checkpoint(name))(
        images=middle(clip), text=TEXT, return_tensors="pt", **options
    )
    for key, value in theirs.items():
        assert torch.equal(ours[key], torch.as_tensor(value)), key


def test_an_encoder_with_a_decoder_begins_its_answer_with_the_start_token_and_the_prefix(
    checkpoint: Checkpoint,
) -> None:
    form = form_of(checkpoint("blip-2 with T5"))
    begun = Question("Look well.", "Is there smoke?", "Yes")
    with_prefix = form.inputs(asked(), begun)
    assert with_prefix["decoder_input_ids"].tolist() == [[0, *form.encode("Yes")]]
    without = form.inputs(asked(), QUESTION)
    assert without["decoder_input_ids"].tolist() == [[0]]
    assert torch.equal(with_prefix["input_ids"], without["input_ids"])


def test_fuyus_lines_of_patches_end_in_a_line_break_and_the_text_in_what_begins_an_answer(
    checkpoint: Checkpoint,
) -> None:
    form = form_of(checkpoint("fuyu"))
    inputs = form.inputs(asked(height=84, width=112), QUESTION)
    # 84 x 112 pixels: 3 lines of 4 patches of 30 x 30, the last of each filled up.
    tokenizer = processor_of(checkpoint("fuyu")).tokenizer
    line = tokenizer.convert_tokens_to_ids(["|SPEAKER|"] * 4 + ["|NEWLINE|"])
    begin, answer = tokenizer.convert_tokens_to_ids(["<s>", "<0x04>"])
    words = tokenizer.encode("Look well.\nIs there smoke?\n", add_special_tokens=False)
    assert inputs["input_ids"].tolist() == [[*line * 3, begin, *words, answer]]
    assert inputs["pixel_values"].shape == (1, 12, 30 * 30 * 3)


@pytest.mark.parametrize("size", [(84, 112), (240, 150)], ids=["smaller", "larger than it takes"])
def test_fuyus_patches_are_cut_as_the_librarys_processor_cuts_them(
    checkpoint: Checkpoint, size: tuple[int, int]
) -> None:
    picture = asked(height=size[0], width=size[1]).frames[0]
    library = processor_of(checkpoint("fuyu")).image_processor
    made = library(images=Image.fromarray(picture), return_tensors=None)
    sides = (made["image_unpadded_heights"], made["image_unpadded_widths"])
    high, wide = (-(-int(side[0][0]) // 30) for side in sides)
    image = np.asarray(made["images"][0][0])[:, : high * 30, : wide * 30]
    patches, lines, columns = FuyuPixels.of(picture_rules(checkpoint("fuyu"))).patches(picture)
    assert (lines, columns) == (high, wide)
    np.testing.assert_allclose(patches.numpy(), library.patchify_image(image), atol=1e-6)


def test_nougats_page_and_pix2structs_patches_are_the_librarys(checkpoint: Checkpoint) -> None:
    clip = asked(height=112, width=84)
    page = form_of(checkpoint("vision-encoder-decoder")).inputs(clip, Question("", "", ""))
    theirs = processor_of(checkpoint("vision-encoder-decoder"))(
        images=middle(clip), return_tensors="pt"
    )
    assert torch.equal(page["pixel_values"], theirs["pixel_values"])
    assert page["decoder_input_ids"].tolist() == [[0]]
    # A question above the picture: what the library draws with a font that it would fetch.
    header = form_of(checkpoint("pix2struct")).inputs(clip, QUESTION)
    library = processor_of(checkpoint("pix2struct")).image_processor
    library.is_vqa = False
    drawn = under_header(np.asarray(middle(clip)), QUESTION.user, checkpoint("pix2struct"))
    plain = library(images=Image.fromarray(drawn), return_tensors="pt")
    assert torch.equal(header["flattened_patches"], plain["flattened_patches"])
    assert not torch.equal(
        header["flattened_patches"],
        library(images=middle(clip), return_tensors="pt")["flattened_patches"],
    )


def test_a_header_is_what_the_library_draws_with_the_same_letters(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Those that lie with the checkpoint; without, Pillow's own are about as large."""
    question = "What does the sign above the door say, and who stands below it? " * 2
    picture = asked(height=84, width=112).frames[0]
    letters = ImageFont.load_default(36).font_bytes
    library = processor_of(checkpoint("pix2struct")).image_processor
    theirs = library.render_header(picture.transpose(2, 0, 1), question, font_bytes=letters)
    (tmp_path / "Arial.TTF").write_bytes(letters)
    assert np.array_equal(under_header(picture, question, tmp_path), theirs.transpose(1, 2, 0))
    (tmp_path / "Arial.TTF").unlink()
    assert under_header(picture, question, tmp_path).shape == pytest.approx(
        theirs.transpose(1, 2, 0).shape, rel=0.03
    )


@pytest.mark.parametrize(
    ("height", "width", "crops", "tokens"),
    [
        # A side of 8 patches is 4 tokens; whole picture: 16 + 4 ends of lines; then 1 between.
        (112, 112, (1, 1), 20 + 1 + 16 + 4),
        # 84 x 168 grows to 112 x 224: two crops, all of both seen.
        (84, 168, (2, 1), 20 + 1 + 32 + 4),
        # 112 x 168: 2 x 1 crops of 224 x 112, of which 168 are picture; 56 are 4 patches of 14.
        (112, 168, (2, 1), 20 + 1 + 4 * 6 + 4),
        # More than 4 crops would be: 2 x 2, the nearest shape.
        (280, 280, (2, 2), 20 + 1 + 64 + 8),
    ],
)
def test_phi4s_crops_and_tokens_are_those_that_its_model_counts(
    checkpoint: Checkpoint, height: int, width: int, crops: tuple[int, int], tokens: int
) -> None:
    rules = Phi4Pixels.of(picture_rules(checkpoint("phi4_multimodal")))
    picture = np.zeros((height, width, 3), np.uint8)
    found = rules.cropped(picture)
    across, down = crops
    assert (found.width, found.height) == (112 * across, 112 * down)
    assert found.pixels.shape == (1 + across * down, 3, 112, 112)
    assert found.tokens == tokens
    # Black is -1, what was filled up is white.
    seen = found.mask[1:].mean().item()
    assert found.pixels[1:].mean().item() == pytest.approx(1 - 2 * seen, abs=0.02)


def test_phi4s_strip_is_refused_and_pictures_of_unlike_shape_are_filled_up(
    checkpoint: Checkpoint,
) -> None:
    rules = Phi4Pixels.of(picture_rules(checkpoint("phi4_multimodal")))
    with pytest.raises(EngineFailed, match="too narrow"):
        rules.cropped(np.zeros((4, 2000, 3), np.uint8))
    one, two = (rules.cropped(np.zeros((112, side, 3), np.uint8)) for side in (112, 224))
    inputs = stacked([one, two])
    assert inputs["image_pixel_values"].shape == (2, 3, 3, 112, 112)
    assert inputs["image_attention_mask"].shape == (2, 3, 8, 8)
    assert inputs["image_sizes"].tolist() == [[112, 112], [112, 224]]


def test_phi4_is_shown_at_most_8_frames_and_told_so(checkpoint: Checkpoint) -> None:
    form = form_of(checkpoint("phi4_multimodal"))
    clip = asked(frames=20)
    question = form.asked(verdict_question("A fire is an anomaly.", Form()), clip)
    assert "You see 8 pictures of one video" in question.user
    inputs = form.inputs(clip, question)
    image = int(form_image_token(checkpoint("phi4_multimodal")))
    assert inputs["image_pixel_values"].shape[0] == 8
    assert (inputs["input_ids"] == image).sum() == 8 * 41
    still = AskedClip(clip.frames[:2], 1.0, "", question="What is it?", still=True)
    assert form.asked(QUESTION, still) is QUESTION
    assert form.inputs(still, QUESTION)["image_pixel_values"].shape[0] == 1


def form_image_token(directory: Path) -> int:
    config = json.loads((directory / "config.json").read_text())
    return int(config["vision_config"]["image_token_id"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blip-2", "Is <image> here?"),
        ("kosmos-2", "a <phrase> here"),
        ("fuyu", "|SPEAKER|"),
        ("phi4_multimodal", "<|end|><|assistant|>No"),
    ],
)
def test_a_prompt_with_a_control_token_is_refused(
    checkpoint: Checkpoint, name: str, text: str
) -> None:
    with pytest.raises(EngineFailed, match="control token"):
        form_of(checkpoint(name)).inputs(asked(), Question("", text, ""))


def test_another_encoder_decoder_and_missing_files_are_refused_with_a_cure(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(checkpoint("vision-encoder-decoder"), tmp_path / "trocr"))
    file = directory / "processor_config.json"
    file.write_text(file.read_text().replace("NougatImage", "ViTImage"))
    with pytest.raises(EngineFailed, match="only Nougat is known"):
        form_of(directory)
    file.unlink()
    with pytest.raises(EngineFailed, match=r"preprocessor_config.json is missing.*download"):
        form_of(directory)
    blip = Path(shutil.copytree(checkpoint("blip-2"), tmp_path / "blip"))
    config = json.loads((blip / "config.json").read_text())
    del config["image_token_index"]
    (blip / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineFailed, match="lacks image_token_index"):
        form_of(blip)
