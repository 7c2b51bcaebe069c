"""One model cut over several devices: the parts fit together, and give what the whole gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest

from edgewatch.pipeline.engines.answers import AnswerTokens, answer_tokens
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sharing.shards import Cut, Shard, cut_of, sizes_of
from edgewatch.pipeline.engines.native.sharing.together import FollowingScorer, LeadingScorer
from edgewatch.pipeline.engines.native.sizes import read_sizes
from edgewatch.pipeline.engines.native.weights.assembly import expected_shapes
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.pipeline.engines.asked_clips import asked

if TYPE_CHECKING:
    import torch

LAYER = "model.layers.3."
PAIR = [Shard(0, 2), Shard(1, 2)]


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.mark.parametrize(
    ("name", "shape", "cut"),
    [
        ("self_attn.q_proj.weight", (64, 32), Cut(0, 32, 64)),
        ("self_attn.k_proj.bias", (16,), Cut(0, 8, 16)),
        ("mlp.up_proj.weight_scale", (96, 1), Cut(0, 48, 96)),
        ("mlp.gate_proj.weight_packed", (96, 16), Cut(0, 48, 96)),
        ("self_attn.o_proj.weight", (32, 64), Cut(1, 32, 64)),
        ("mlp.down_proj.weight_scale", (32, 6), Cut(1, 3, 6)),
        # Scales of each output, of the whole weight, of inputs, and a shape that is written down.
        ("mlp.down_proj.weight_scale", (32, 1), None),
        ("mlp.down_proj.weight_scale", (32,), None),
        ("mlp.up_proj.weight_scale", (), None),
        ("mlp.up_proj.input_scale", (1,), None),
        ("mlp.up_proj.weight_shape", (2,), None),
        ("input_layernorm.weight", (32,), None),
    ],
)
def test_weights_are_cut_with_all_that_belongs_to_them(
    name: str, shape: tuple[int, ...], cut: Cut | None
) -> None:
    assert cut_of(LAYER + name, shape, Shard(1, 2)) == cut


@pytest.mark.parametrize(
    "name", ["visual.blocks.0.attn.proj.weight", "lm_head.weight", "model.embed_tokens.weight"]
)
def test_what_is_no_layer_of_the_language_model_stays_whole(name: str) -> None:
    assert cut_of(name, (64, 64), Shard(0, 2)) is None


def test_scales_that_cannot_be_shared_evenly_are_named() -> None:
    with pytest.raises(EngineFailed, match=rf"{LAYER}mlp\.down_proj\.weight_scale.*7 along axis 1"):
        cut_of(LAYER + "mlp.down_proj.weight_scale", (32, 7), Shard(0, 2))


def test_number_of_devices_that_does_not_divide_the_model_is_refused_with_those_that_do(
    tiny: Path,
) -> None:
    sizes = replace(read_sizes(tiny).language, heads=28, kv_heads=4, mlp=18_944)
    assert sizes_of(sizes, Shard(0, 4)).heads == 7
    with pytest.raises(
        EngineFailed,
        match=r"tensor_parallel = 3 .*num_attention_heads 28.*to one of 1, 2, 4",
    ):
        sizes_of(sizes, Shard(0, 3))


def test_shards_of_every_weight_make_up_the_whole(tiny: Path) -> None:
    import torch

    cpu = torch.device("cpu")
    with StoredWeights(tiny, cpu) as whole:
        parts = [StoredWeights(tiny, cpu, shard=shard) for shard in PAIR]
        cut = 0
        for name, shape in expected_shapes(read_sizes(tiny)).items():
            read = [one.read(name) for one in parts]
            if found := cut_of(name, shape, PAIR[0]):
                cut += 1
                assert torch.equal(torch.cat(read, dim=found.axis), whole.read(name))
            else:
                assert all(torch.equal(one, whole.read(name)) for one in read)
        assert cut == read_sizes(tiny).language.layers * 10


CLIPS = [
    asked(0),
    asked(1, frames=6, width=140, prompt="Look for fire. " * 20),
    asked(2, prompt="Smoke."),
]


def test_two_shards_in_lockstep_answer_as_the_whole_does(checkpoint: Checkpoint) -> None:
    """What one process tells the other is carried by queues, and what they sum by a barrier."""
    whole = Scorer(network_of(checkpoint), *parts_of(checkpoint), Form(words_tokens=5))
    wire = Wire()
    leading = LeadingScorer(
        network_of(checkpoint, PAIR[0], wire),
        *parts_of(checkpoint),
        Form(words_tokens=5),
        tell=wire.told.put,
        share=wire.give,
    )
    following = FollowingScorer(
        network_of(checkpoint, PAIR[1], wire),
        *parts_of(checkpoint),
        Form(words_tokens=5),
        hear=wire.told.get,
        share=wire.take,
    )
    leading.most_clips = 2
    with wire.obeying(following):
        ours = leading.logits(CLIPS)
        scores = [one.score for one in leading.score(CLIPS)]
        words = leading.words(CLIPS[0], lambda: None)
        with pytest.raises(EngineBusy, match="clips wait"):
            leading.words(CLIPS[1], giving_way_at(3))
        again = [one.score for one in leading.score(CLIPS)]
    theirs = whole.logits(CLIPS)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-5
    assert scores == pytest.approx([one.score for one in whole.score(CLIPS)], abs=1e-5)
    assert again == scores
    assert words == whole.words(CLIPS[0], lambda: None)
    assert following.most_clips == 2


def test_short_memory_ends_all_that_share_a_model(checkpoint: Checkpoint) -> None:
    """One of them cannot take a smaller batch while the others wait for its sums."""

    def full(_: torch.Tensor) -> None:
        raise MemoryError

    told: list[object] = []
    leading = LeadingScorer(
        network_of(checkpoint), *parts_of(checkpoint), Form(), tell=told.append, share=full
    )
    with pytest.raises(EngineFailed, match=r"3 clips does not fit.*lower \[engine\] max_batch"):
        leading.score(CLIPS)
    assert leading.most_clips == 8


def network_of(
    checkpoint: Checkpoint, shard: Shard | None = None, wire: Wire | None = None
) -> Network:
    import torch

    directory, rules, cpu = checkpoint.directory, checkpoint.pixels, torch.device("cpu")
    if shard is None or wire is None:
        return load_network(directory, rules, cpu)
    return load_network(directory, rules, cpu, shard=shard, together=wire.sum_of(shard))


def parts_of(checkpoint: Checkpoint) -> tuple[Checkpoint, ScriptReader, AnswerTokens]:
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    return checkpoint, scripts, answer_tokens(scripts.encode, Form())


def giving_way_at(step: int) -> Callable[[], None]:
    steps = count(1)

    def give_way() -> None:
        if next(steps) == step:
            raise EngineBusy("clips wait to be scored")

    return give_way


class Wire:
    """Between two threads what is between two processes: messages, tensors, sums."""

    def __init__(self) -> None:
        self.told: Queue[Any] = Queue()
        self._given: Queue[torch.Tensor] = Queue()
        self._parts: list[torch.Tensor | None] = [None, None]
        self._barrier = threading.Barrier(2, timeout=20.0)

    def give(self, tensor: torch.Tensor) -> None:
        self._given.put(tensor.clone())

    def take(self, tensor: torch.Tensor) -> None:
        tensor.copy_(self._given.get(timeout=20.0))

    def sum_of(self, shard: Shard) -> Callable[[torch.Tensor], None]:
        def together(tensor: torch.Tensor) -> None:
            self._parts[shard.rank] = tensor.clone()
            self._barrier.wait()
            first, second = self._parts
            assert first is not None
            assert second is not None
            self._barrier.wait()
            tensor.copy_(first + second)

        return together

    @contextmanager
    def obeying(self, following: FollowingScorer) -> Iterator[None]:
        """Let another thread do what it is told, until the block ends."""

        def obey() -> None:
            while (message := self.told.get(timeout=20.0)) is not None:
                following.obey(message)

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(obey)
            try:
                yield
            finally:
                self.told.put(None)
                done.result(timeout=20.0)
