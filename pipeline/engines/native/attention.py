"""Attention of the language model over packed groups: the library's own kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.packing import Group

if TYPE_CHECKING:
    import torch


def attend(
    groups: Sequence[Group], queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Let every row see itself and what stands before it in its passage: (rows, heads x head), or
    a view of (passages, rows of each, heads x head) where all are of one group.

    `queries`: (slots, heads, head); `keys`, `values`: (slots, kv_heads, head). A passage's known
    tokens have queries too, of any value: under a causal mask they cost next to nothing, and it
    keeps to the form that the fast kernels know. Their results are left out.
    """
    seen = queries.new_empty(0)
    for group in groups:
        shape = (group.count, group.known + group.length)
        part = slice(group.first_slot, group.first_slot + group.slots)
        out = _attention(
            *(each[part].unflatten(0, shape) for each in (queries, keys, values)), causal=True
        )
        read = out[:, group.known :].flatten(2)
        if len(groups) == 1:
            return read
        if group is groups[0]:
            rows = sum(each.count * each.length for each in groups)
            seen = queries.new_empty((rows, read.shape[2]))
        at = slice(group.first_row, group.first_row + group.count * group.length)
        seen[at].view(read.shape).copy_(read)
    return seen


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


def attend_one(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Let one token see the first slots, as many as `mask` is long: (1, heads x head).

    `queries`: (1, heads, head). `mask`: (slots looked at,), added to the scores. Heads that share
    keys stand as tokens of one head, so that kernels without grouped heads serve, which take masks.
    """
    from torch.nn.functional import scaled_dot_product_attention

    kv_heads, head = keys.shape[1:]
    asked = queries.view(1, kv_heads, -1, head)
    count = len(mask)
    parts = (each[:count].transpose(0, 1)[None] for each in (keys, values))
    seen = scaled_dot_product_attention(
        asked, *parts, attn_mask=mask.expand(1, kv_heads, asked.shape[2], count)
    )
    return seen.reshape(1, -1)


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

    parts = [each.transpose(1, 2) for each in (queries, keys, values)]
    heads, kv_heads = queries.shape[2], keys.shape[2]
    if not _takes_groups(queries.device, queries.dtype, heads, kv_heads, queries.shape[3]):
        parts[1:] = [one.repeat_interleave(heads // kv_heads, dim=1) for one in parts[1:]]
    shared = parts[1].shape[1] != heads
    out = scaled_dot_product_attention(*parts, is_causal=causal, enable_gqa=shared)
    return out.transpose(1, 2)


@lru_cache(maxsize=32)
def _takes_groups(
    device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, head: int
) -> bool:
    """Say whether a fast kernel here lets several queries share a key.

    Where none does (float32, or neither cuDNN's nor FlashAttention's is there), the library would
    fall to its slow path without a word: with a key for each query the memory-efficient one serves.
    """
    if device.type != "cuda" or heads == kv_heads:
        return True
    import torch
    from torch.backends.cuda import SDPAParams, can_use_cudnn_attention, can_use_flash_attention

    queries = torch.empty((1, heads, 64, head), dtype=dtype, device=device)
    keys = torch.empty((1, kv_heads, 64, head), dtype=dtype, device=device)
    asked = SDPAParams(queries, keys, keys, None, 0.0, True, True)
    return bool(can_use_flash_attention(asked) or can_use_cudnn_attention(asked))
