"""Profiles: the shapes that each part takes for a picture's size. Pure."""

from __future__ import annotations

from edgewatch.pipeline.scenes.diffusion.facts import DiffusionFacts
from edgewatch.pipeline.scenes.tensorrt.plan_key import Profile, Shape
from edgewatch.pipeline.scenes.tensorrt.tensors import Tensor


def profile_of(facts: DiffusionFacts, inputs: tuple[Tensor, ...], size: tuple[int, int]) -> Profile:
    """Return the shapes for one picture of `size` (width, height), for inputs that may move.

    Least, usual and most are the same: a plan of one shape is the fastest and the smallest. SDXL's
    UNet takes 1 (without guidance) or 2 pictures.
    """
    return {tensor.name: _shapes(facts, tensor, size) for tensor in inputs if None in tensor.shape}


def _shapes(
    facts: DiffusionFacts, tensor: Tensor, size: tuple[int, int]
) -> tuple[Shape, Shape, Shape]:
    width, height = size
    rows, columns = height // facts.factor, width // facts.factor
    moving = {
        "hidden_states": (1, rows * columns // 4),
        "img_ids": (rows * columns // 4,),
        "latent": (1, None, rows, columns),
        "sample": (1, None, rows, columns),
    }.get(tensor.name, (1,))
    shape = tuple(
        length if length is not None else (moving[axis] if axis < len(moving) else None) or 1
        for axis, length in enumerate(tensor.shape)
    )
    guided = facts.family == "sdxl" and tensor.name in _OF_THE_UNET
    most = (2, *shape[1:]) if guided else shape
    return shape, most, most


_OF_THE_UNET = ("sample", "encoder_hidden_states", "text_embeds", "time_ids")
