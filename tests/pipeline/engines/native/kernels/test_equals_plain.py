"""Each kernel gives what plain PyTorch gives; on a CPU, by Triton's interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Codes, Inputs, Operations, Rounding
from edgewatch.pipeline.engines.native.frames import FrameSizes, PairTables
from edgewatch.pipeline.engines.native.plain import PlainOperations
from edgewatch.pipeline.engines.native.products import Fp8Product, PlainProduct, fp8_by_rows
from edgewatch.pipeline.engines.native.sizes import VisionSizes
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules

if TYPE_CHECKING:
    import torch

EPS = 1e-6
RULES = PixelRules(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    rescale_factor=1 / 255,
)
KINDS = ("none", "rows", "fixed")


def tables_of(
    rows: int, columns: int, *, window: int = 4, heads: int = 2, head: int = 16
) -> PairTables:
    import torch

    sizes = VisionSizes(
        layers=1,
        width=heads * head,
        heads=heads,
        mlp=48,
        patch=14,
        merge=2,
        temporal_patch=2,
        window=window,
        full_layers=frozenset(),
        out_width=64,
    )
    return FrameSizes(sizes, RULES, torch.device("cpu")).of(rows, columns)


def rounding(kind: str) -> Rounding:
    import torch

    if kind == "none":
        return PLAIN
    return Rounding("rows") if kind == "rows" else Rounding("fixed", torch.tensor(0.004))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def kernels(kernel_operations: Any) -> Operations:
    import torch

    operations: Operations = kernel_operations(torch.float32)
    return operations


@pytest.fixture(scope="module")
def fused(kernel_operations: Any) -> Operations:
    """With products and their gates in one kernel, whatever the device."""
    import torch

    from edgewatch.pipeline.engines.native.kernels.gated import TRIAL

    operations: Operations = kernel_operations(torch.float32, fusing=TRIAL)
    return operations


@pytest.fixture(scope="module")
def plain() -> PlainOperations:
    import torch

    return PlainOperations(torch.float32)


def assert_same(ours: Inputs, theirs: Inputs, *, atol: float = 1e-6) -> None:
    """Floats within rounding; of codes nearly all equal, and the others within one step.

    The interpreter (of Triton 3.9) has a rounding of its own: it cuts off below 2**-6, and where a
    size is rounded up to a power of two it may lose the carry, which leaves it at half.
    """
    import torch

    if not isinstance(theirs, Codes):
        assert not isinstance(ours, Codes)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=atol)
        return
    assert isinstance(ours, Codes)
    assert ours.codes.dtype == theirs.codes.dtype
    torch.testing.assert_close(ours.scale, theirs.scale)
    found, expected = (each.codes.view(torch.uint8).int() for each in (ours, theirs))
    assert found.shape == expected.shape
    steps = found - expected
    to_a_power = expected % 8 == 0
    near = (steps.abs() <= 1) | (to_a_power & (steps == -8)) | (expected & 127 < 8)
    assert bool(near.all())
    values, wanted = ours.codes.float(), theirs.codes.float()
    assert float((values - wanted)[~to_a_power].abs().max()) <= 32  # the largest step
    assert float((steps == 0).float().mean()) > 0.85


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "width"), [(3, 96), (1, 7), (2, 1280)])
def test_norm(
    kernels: Operations, plain: PlainOperations, rows: int, width: int, kind: str
) -> None:
    import torch

    weight, add = random(width, seed=1), random(rows, width, seed=2)
    for more in (None, add):
        ours, theirs = random(rows, width), random(rows, width)
        how = rounding(kind)
        assert_same(
            kernels.norm(ours, weight, EPS, add=more, rounding=how),
            plain.norm(theirs, weight, EPS, add=more, rounding=how),
        )
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "width"), [(3, 96), (1, 7), (2, 2368)])
def test_gate(
    kernels: Operations, plain: PlainOperations, rows: int, width: int, kind: str
) -> None:
    gate_up = random(rows, 2 * width)
    assert_same(kernels.gate(gate_up, rounding(kind)), plain.gate(gate_up, rounding(kind)))


def product_of(kind: str, *, biased: bool) -> PlainProduct | Fp8Product:
    """Of 176 inputs, to 144 of gate and as many of up: no whole number of tiles."""
    import torch

    weight, bias = random(288, 176, seed=3), random(288, seed=4) if biased else None
    if kind == "none":
        return PlainProduct(weight, bias)
    codes = (weight / 0.01).to(torch.float8_e4m3fn)
    how = Rounding("fixed", torch.tensor(0.01))
    return Fp8Product(codes, torch.tensor(0.01), bias, torch.float32, how)


@pytest.mark.parametrize("kind", ["none", "fixed"])
@pytest.mark.parametrize(("of", "biased"), [("none", True), ("none", False), ("fixed", True)])
def test_a_product_with_its_gate(
    plain: PlainOperations, fused: Operations, of: str, kind: str, biased: bool
) -> None:
    product = product_of(of, biased=biased)
    inputs = plain.rounded(random(150, 176) / 13, product.rounding)
    how = rounding(kind)
    ours, theirs = (one.gated(product, inputs, how) for one in (fused, plain))
    assert_same(ours, theirs, atol=1e-5)  # other orders of sums


def test_what_two_passes_do_better_or_alone_is_left_to_them(
    kernels: Operations, fused: Operations
) -> None:
    """Few rows, widths that no descriptor takes, and scales of each row: the same bit by bit."""
    import torch

    for rows, width in ((5, 144), (32, 7)):
        product, inputs = PlainProduct(random(2 * width, 96)), random(rows, 96)
        assert torch.equal(fused.gated(product, inputs), kernels.gate(product(inputs)))
    by_rows, how = fp8_by_rows(random(32, 96), None, torch.float32), Rounding("rows")
    codes = kernels.rounded(random(32, 96), how)
    ours, theirs = fused.gated(by_rows, codes, how), kernels.gate(by_rows(codes), how)
    assert torch.equal(ours.codes.view(torch.uint8), theirs.codes.view(torch.uint8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [0, 3])
@pytest.mark.parametrize("passages", [1, 4])
def test_rows_behind_known_ones_are_rounded(
    kernels: Operations, plain: PlainOperations, passages: int, known: int, kind: str
) -> None:
    view = random(passages, known + 5, 48)[:, known:]
    ours, theirs = (one.rounded(view, rounding(kind)) for one in (kernels, plain))
    assert_same(ours, theirs)
    assert (ours.codes if isinstance(ours, Codes) else ours).shape == (passages * 5, 48)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_wider_tensor_are_rounded(
    kernels: Operations, plain: PlainOperations, kind: str
) -> None:
    view = random(5, 200)[1:, 40:160]
    view[1] = 0.0
    assert_same(kernels.rounded(view, rounding(kind)), plain.rounded(view, rounding(kind)))


def test_what_no_code_holds_becomes_the_largest(
    kernels: Operations, plain: PlainOperations
) -> None:
    huge = random(2, 32) * 1e4
    assert_same(kernels.rounded(huge, rounding("fixed")), plain.rounded(huge, rounding("fixed")))


@pytest.mark.parametrize(("rows", "columns"), [(3, 2), (1, 5)])
def test_patches(kernels: Operations, plain: PlainOperations, rows: int, columns: int) -> None:
    import torch

    tables = tables_of(rows, columns)
    shape = (2, 2, rows * 28, columns * 28, 3)
    pixels = torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    assert_same(kernels.patches(pixels, tables), plain.patches(pixels, tables))


WINDOWS = [
    (5, 6, 4, 16),  # large, narrow and small windows
    (3, 3, 1, 16),  # windows of one token
    (1, 1, 4, 20),
    (2, 5, 2, 80),  # the published width of a head
    (7, 6, 6, 16),  # windows that are too large for one program
]
"""Rows and columns of tokens, side of a window, width of a head."""


@pytest.mark.parametrize(("rows", "columns", "window", "head"), WINDOWS)
def test_windows(
    kernels: Operations,
    plain: PlainOperations,
    rows: int,
    columns: int,
    window: int,
    head: int,
) -> None:
    tables = tables_of(rows, columns, window=window, head=head)
    qkv = random(2 * tables.plan.patches, 3 * 2 * head)
    assert_same(
        kernels.attend_windows(qkv.clone(), tables), plain.attend_windows(qkv.clone(), tables)
    )


@pytest.mark.parametrize("kind", ["rows", "fixed"])
def test_windows_rounded(kernels: Operations, plain: PlainOperations, kind: str) -> None:
    tables = tables_of(2, 3, window=2, heads=4)
    qkv = random(2 * tables.plan.patches, 3 * 4 * 16)
    assert_same(
        kernels.attend_windows(qkv, tables, rounding(kind)),
        plain.attend_windows(qkv, tables, rounding(kind)),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_pairs(kernels: Operations, plain: PlainOperations, kind: str) -> None:
    tables = tables_of(3, 2, heads=3, head=20)
    qkv = random(2 * tables.plan.patches, 3 * 3 * 20)
    theirs = plain.attend_pairs(qkv.clone(), tables, rounding(kind))
    assert_same(kernels.attend_pairs(qkv, tables, rounding(kind)), theirs)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "head"), [(4, 2, 16), (0, 2, 16), (7, 1, 24), (3, 3, 128)]
)
def test_turn(
    kernels: Operations, plain: PlainOperations, heads: int, kv_heads: int, head: int
) -> None:
    import torch

    rows, slots = 3, torch.tensor([5, 0, 3])
    qkv, angles = random(rows, (heads + 2 * kv_heads) * head), random(head // 2, rows).T * 3

    def put(operations: Operations) -> list[torch.Tensor]:
        room = [torch.zeros(6, count, head) for count in (heads, kv_heads, kv_heads)]
        queries = room[0] if heads else None
        operations.turn(qkv.clone(), angles.cos(), angles.sin(), slots, queries, *room[1:])
        return room

    for ours, theirs in zip(put(kernels), put(plain), strict=True):
        assert_same(ours, theirs)


def test_nothing_in_nothing_out(kernels: Operations) -> None:
    for kind in KINDS:
        for given in (
            kernels.norm(random(0, 32), random(32), EPS, rounding=rounding(kind)),
            kernels.gate(random(0, 64), rounding(kind)),
        ):
            codes = given.codes if isinstance(given, Codes) else given
            assert codes.shape == (0, 32)


def test_single_passes_can_be_left_to_torch(kernel_operations: Any) -> None:
    import torch

    from edgewatch.pipeline.engines.native.kernels.gated import Fusing

    mixed = kernel_operations(torch.float32, plain=("norm",))
    assert isinstance(mixed.norm.__self__, PlainOperations)
    assert not isinstance(mixed.gate.__self__, PlainOperations)
    apart = kernel_operations(torch.float32, plain=("gated",), fusing=Fusing(1, 1))
    product, inputs = PlainProduct(random(288, 96)), random(64, 96)
    assert torch.equal(apart.gated(product, inputs), apart.gate(product(inputs)))
    with pytest.raises(ValueError, match="polish"):
        kernel_operations(torch.float32, plain=("polish",))


def test_strided_tensors_are_refused(kernels: Operations) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        kernels.norm(random(32, 4).T, random(32), EPS)
    with pytest.raises(ValueError, match="contiguous"):
        kernels.gate(random(4, 96)[:, :64])
