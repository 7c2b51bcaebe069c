"""Attention of the language model over packed groups: the library's own kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.packing import Group

if TYPE_CHECKING:
    import torch


def attend(
    groups: Sequence[Group], queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Let every row see itself and what stands before it in its passage: (rows, heads x head).

    `queries`: (slots, heads, head); `keys`, `values`: (slots, kv_heads, head). A passage's known
    tokens have queries too, of any value: under a causal mask they cost next to nothing, and it
    keeps to the form that the fast kernels know. Their results are left out.
    """
    import torch

    seen = []
    for group in groups:
        shape = (group.count, group.known + group.length)
        part = slice(group.first_slot, group.first_slot + group.slots)
        out = _attention(
            *(each[part].unflatten(0, shape) for each in (queries, keys, values)), causal=True
        )
        seen.append(out[:, group.known :].reshape(group.count * group.length, -1))
    return seen[0] if len(seen) == 1 else torch.cat(seen)


def attend_last(
    groups: Sequence[Group], queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Let each passage's last token see all of it: (passages, heads x head).

    `queries`: (passages, heads, head).
    """
    import torch

    seen = []
    for group in groups:
        shape = (group.count, group.known + group.length)
        part = slice(group.first_slot, group.first_slot + group.slots)
        out = _attention(
            queries[group.first : group.first + group.count, None],
            keys[part].unflatten(0, shape),
            values[part].unflatten(0, shape),
            causal=False,
        )
        seen.append(out.reshape(group.count, -1))
    return seen[0] if len(seen) == 1 else torch.cat(seen)


@contextmanager
def fast_attention(device: torch.device) -> Iterator[None]:
    """Prefer the kernels that are fastest here: on a GPU cuDNN's, then FlashAttention's.

    Source: measured on an H200; the memory-efficient one takes no grouped heads.
    """
    with _preference(device):
        yield


def _preference(device: torch.device) -> AbstractContextManager[None]:
    from contextlib import nullcontext

    if device.type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    order = (
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    )
    chosen: AbstractContextManager[None] = sdpa_kernel(list(order), set_priority=True)
    return chosen


def _attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, *, causal: bool
) -> torch.Tensor:
    """Attend; all (passages, tokens, heads, head)."""
    from torch.nn.functional import scaled_dot_product_attention

    parts = (each.transpose(1, 2) for each in (queries, keys, values))
    out = scaled_dot_product_attention(*parts, is_causal=causal, enable_gqa=True)
    return out.transpose(1, 2)
