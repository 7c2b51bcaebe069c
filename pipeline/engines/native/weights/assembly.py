"""Stored weights to the network's layers: joined, padded, each straight to its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from edgewatch.pipeline.engines.native.arithmetic import Product
from edgewatch.pipeline.engines.native.language import LanguageWeights
from edgewatch.pipeline.engines.native.layer import Layer
from edgewatch.pipeline.engines.native.sizes import LanguageSizes, Sizes, VisionSizes
from edgewatch.pipeline.engines.native.vision import VisionWeights

if TYPE_CHECKING:
    import torch

ROW_OF = 32
"""The vision tower's MLP is widened by zeros to a multiple of this: rows whose bytes are no
multiple of 16 cost its second product three times the time (measured on an H200 with 3420)."""


class Source(Protocol):
    """Where weights come from, in the network's types."""

    def plain(self, name: str) -> torch.Tensor:
        """Return a weight in the network's own type: norms, embeddings."""

    def product(
        self, layers: Sequence[str], *, bias: bool, outputs: int = 0, inputs: int = 0
    ) -> Product:
        """Return linear layers that read the same inputs as one product, one above the other.

        `layers`: names without ".weight". `bias`: whether they have one. `outputs`, `inputs`: each
        layer is widened to this by zeros; 0: it stays.
        """


def assemble(sizes: Sizes, source: Source) -> tuple[VisionWeights, LanguageWeights]:
    """Return both parts of the network."""
    return _vision(sizes.vision, source), _language(sizes.language, source)


def _vision(sizes: VisionSizes, source: Source) -> VisionWeights:
    width = -(-sizes.mlp // ROW_OF) * ROW_OF
    layers = []
    for number in range(sizes.layers):
        block = f"visual.blocks.{number}"
        layers.append(
            Layer(
                first_norm=source.plain(f"{block}.norm1.weight"),
                qkv=source.product([f"{block}.attn.qkv"], bias=True),
                out=source.product([f"{block}.attn.proj"], bias=True),
                second_norm=source.plain(f"{block}.norm2.weight"),
                gate_up=source.product(
                    [f"{block}.mlp.gate_proj", f"{block}.mlp.up_proj"], bias=True, outputs=width
                ),
                down=source.product([f"{block}.mlp.down_proj"], bias=True, inputs=width),
            )
        )
    return VisionWeights(
        patches=source.product(["visual.patch_embed.proj"], bias=False),
        layers=layers,
        norm=source.plain("visual.merger.ln_q.weight"),
        merge_in=source.product(["visual.merger.mlp.0"], bias=True),
        merge_out=source.product(["visual.merger.mlp.2"], bias=True),
    )


def _language(sizes: LanguageSizes, source: Source) -> LanguageWeights:
    layers = []
    for number in range(sizes.layers):
        layer = f"model.layers.{number}"
        attention = [f"{layer}.self_attn.{one}_proj" for one in "qkv"]
        mlp = f"{layer}.mlp"
        layers.append(
            Layer(
                first_norm=source.plain(f"{layer}.input_layernorm.weight"),
                qkv=source.product(attention, bias=True),
                out=source.product([f"{layer}.self_attn.o_proj"], bias=False),
                second_norm=source.plain(f"{layer}.post_attention_layernorm.weight"),
                gate_up=source.product([f"{mlp}.gate_proj", f"{mlp}.up_proj"], bias=False),
                down=source.product([f"{mlp}.down_proj"], bias=False),
            )
        )
    head = "model.embed_tokens" if sizes.tied else "lm_head"
    return LanguageWeights(
        embeddings=source.plain("model.embed_tokens.weight"),
        layers=layers,
        norm=source.plain("model.norm.weight"),
        head=source.product([head], bias=False),
    )


Shape = tuple[int, ...]


def expected_shapes(sizes: Sizes) -> dict[str, Shape]:
    """Return the name and shape of every weight of a plain checkpoint."""
    shapes: dict[str, Shape] = {}

    def linear(name: str, outputs: int, inputs: int, *, bias: bool) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    _expect_vision(sizes.vision, shapes, linear)
    _expect_language(sizes.language, shapes, linear)
    return shapes


def _expect_vision(
    sizes: VisionSizes, shapes: dict[str, Shape], linear: Callable[..., None]
) -> None:
    width, merged = sizes.width, sizes.width * sizes.merged
    shapes["visual.patch_embed.proj.weight"] = (
        width,
        3,
        sizes.temporal_patch,
        sizes.patch,
        sizes.patch,
    )
    for number in range(sizes.layers):
        block = f"visual.blocks.{number}"
        shapes[f"{block}.norm1.weight"] = shapes[f"{block}.norm2.weight"] = (width,)
        linear(f"{block}.attn.qkv", 3 * width, width, bias=True)
        linear(f"{block}.attn.proj", width, width, bias=True)
        linear(f"{block}.mlp.gate_proj", sizes.mlp, width, bias=True)
        linear(f"{block}.mlp.up_proj", sizes.mlp, width, bias=True)
        linear(f"{block}.mlp.down_proj", width, sizes.mlp, bias=True)
    shapes["visual.merger.ln_q.weight"] = (width,)
    linear("visual.merger.mlp.0", merged, merged, bias=True)
    linear("visual.merger.mlp.2", sizes.out_width, merged, bias=True)


def _expect_language(
    sizes: LanguageSizes, shapes: dict[str, Shape], linear: Callable[..., None]
) -> None:
    width, queries = sizes.width, sizes.heads * sizes.head
    shapes["model.embed_tokens.weight"] = (sizes.vocabulary, width)
    for number in range(sizes.layers):
        layer = f"model.layers.{number}"
        shapes[f"{layer}.input_layernorm.weight"] = (width,)
        shapes[f"{layer}.post_attention_layernorm.weight"] = (width,)
        linear(f"{layer}.self_attn.q_proj", queries, width, bias=True)
        for one in ("k", "v"):
            linear(f"{layer}.self_attn.{one}_proj", sizes.kv_heads * sizes.head, width, bias=True)
        linear(f"{layer}.self_attn.o_proj", width, queries, bias=False)
        linear(f"{layer}.mlp.gate_proj", sizes.mlp, width, bias=False)
        linear(f"{layer}.mlp.up_proj", sizes.mlp, width, bias=False)
        linear(f"{layer}.mlp.down_proj", width, sizes.mlp, bias=False)
    shapes["model.norm.weight"] = (width,)
    if not sizes.tied:
        shapes["lm_head.weight"] = (sizes.vocabulary, width)
