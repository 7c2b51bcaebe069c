"""What was seen of a pair of frames serves every clip that holds it, and changes no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.seeing import Seer, Tower
from edgewatch.pipeline.engines.native.sights import Sights, fingerprint, sights_of
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint

if TYPE_CHECKING:
    import torch

TOKENS = 4
"""Of a pair of 56 x 56 pixels."""
TOKEN_BYTES = 64 * 4
"""Of the tiny checkpoint, in float32."""
PAIR_BYTES = TOKENS * TOKEN_BYTES


@pytest.fixture(scope="module")
def network(tiny: Path) -> Network:
    import torch

    return load_network(tiny, read_checkpoint(tiny).pixels, torch.device("cpu"))


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


class CountingTower:
    """The real tower; counts the pairs that it is shown, and may find no memory for them."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        self.pairs = 0
        self.full = False

    def see(self, pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        if self.full:
            raise MemoryError("can't allocate memory")
        self.pairs += sum(len(one) for one in pixels)
        return self._tower.see(pixels)


class Sighted:
    """A seer that keeps what it saw, and one that does not."""

    def __init__(self, network: Network, *, pairs: int) -> None:
        self.tower = CountingTower(network.vision)
        self.sights = sights_of(network, pairs * PAIR_BYTES)
        self.seer = Seer(self.tower, network.device, self.sights)
        self._plain = Seer(network.vision, network.device)

    def check(self, clips: Sequence[AskedClip]) -> int:
        """Hold the features of clips against those of the other; return the pairs shown."""
        import torch

        before = self.tower.pairs
        torch.testing.assert_close(
            self.seer.features(clips), self._plain.features(clips), rtol=0, atol=1e-6
        )
        assert self.seer.figures.sight_bytes == (self.sights.held_bytes if self.sights else 0)
        return self.tower.pairs - before


@pytest.fixture
def roomy(network: Network) -> Sighted:
    return Sighted(network, pairs=100)


class Footage:
    """A camera's frames, four a second; clips are cut from them."""

    def __init__(
        self, camera: str = "door", *, seed: int = 0, size: tuple[int, int] = (56, 56)
    ) -> None:
        self.camera = camera
        shape = (40, *size, 3)
        self.frames = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        self.times = tuple(1_700_000_000.0 + 0.25 * number for number in range(len(self.frames)))

    def clip(self, first: int, count: int = 8) -> AskedClip:
        part = slice(first, first + count)
        return AskedClip(
            self.frames[part], 4.0, "Look.", camera=self.camera, times=self.times[part]
        )


class TestOverlappingClips:
    def test_half_of_a_clip_that_overlaps_by_half_is_not_seen_again(self, roomy: Sighted) -> None:
        footage = Footage()
        shown = [roomy.check([footage.clip(first)]) for first in (0, 4, 8, 12)]
        assert shown == [4, 2, 2, 2]
        figures = roomy.seer.figures
        assert (figures.sight_hits, figures.sight_misses) == (6, 10)
        assert figures.sight_hit_rate == pytest.approx(6 / 16)
        assert figures.sight_bytes == 10 * PAIR_BYTES

    def test_a_pair_of_two_clips_of_one_batch_is_seen_once(self, roomy: Sighted) -> None:
        footage = Footage()
        assert roomy.check([footage.clip(4), footage.clip(0), footage.clip(4)]) == 6
        assert roomy.seer.figures.sight_hits == 6

    def test_a_clip_asked_about_again_is_not_seen_at_all(self, roomy: Sighted) -> None:
        clip = Footage().clip(0)
        assert [roomy.check([clip]), roomy.check([clip])] == [4, 0]

    def test_sizes_share_the_room_and_a_batch(self, roomy: Sighted) -> None:
        wide, small = Footage("wide", size=(56, 112)), Footage("small", size=(28, 28))
        door = Footage()
        assert roomy.check([wide.clip(0), door.clip(0), small.clip(0)]) == 12
        assert roomy.check([small.clip(4), wide.clip(4), door.clip(4)]) == 6
        assert roomy.seer.figures.sight_bytes == 6 * (8 + 4 + 1) * TOKEN_BYTES

    def test_a_lost_frame_or_another_pairing_is_seen_anew(self, roomy: Sighted) -> None:
        footage = Footage()
        roomy.check([footage.clip(0)])
        assert roomy.check([footage.clip(1)]) == 4, "odd: other pairs"
        late = replace(
            footage.clip(0),
            times=tuple(time + (time > 1_700_000_001.1) * 0.1 for time in footage.times[:8]),
        )
        assert roomy.check([late]) == 2, "as far as their times are the same, pairs are found"


class TestNeverMixed:
    def test_cameras_that_show_the_same_are_kept_apart(self, roomy: Sighted) -> None:
        assert roomy.check([Footage("door").clip(0), Footage("gate").clip(0)]) == 8

    def test_two_sources_under_one_name_and_time(self, roomy: Sighted) -> None:
        assert roomy.check([Footage(seed=1).clip(0)]) == 4
        assert roomy.check([Footage(seed=2).clip(0)]) == 4

    def test_every_byte_counts(self) -> None:
        pair = Footage(size=(84, 56)).frames[:2]
        prints = {fingerprint(pair)}
        for place in range(0, pair.size, 101):
            other = pair.copy()
            other.reshape(-1)[place] ^= 1
            prints.add(fingerprint(other))
        assert len(prints) == 1 + len(range(0, pair.size, 101))

    @pytest.mark.parametrize("missing", ["camera", "times"])
    def test_a_clip_without_a_name_is_not_kept(self, roomy: Sighted, missing: str) -> None:
        clip = replace(
            Footage().clip(0), **({"camera": ""} if missing == "camera" else {"times": ()})
        )
        named = Footage("gate").clip(0)
        assert [roomy.check([clip, named, clip]), roomy.check([clip])] == [12, 4]
        figures = roomy.seer.figures
        assert (figures.sight_hits, figures.sight_misses) == (0, 4)


class TestBound:
    def test_the_pair_not_looked_for_the_longest_gives_way(self, network: Network) -> None:
        cramped = Sighted(network, pairs=6)
        door, gate = Footage("door"), Footage("gate")
        cramped.check([door.clip(0)])
        cramped.check([gate.clip(0, 4)])
        cramped.check([door.clip(0, 4)])
        cramped.check([gate.clip(4, 4)])  # takes the place of the door's last two
        assert cramped.seer.figures.sight_evicted == 2
        assert cramped.check([door.clip(0, 4), gate.clip(0, 4)]) == 0
        assert cramped.check([door.clip(4, 4)]) == 2

    def test_a_batch_larger_than_all_the_room(self, network: Network) -> None:
        cramped = Sighted(network, pairs=3)
        door = Footage()
        assert cramped.check([door.clip(0), door.clip(8)]) == 8
        assert cramped.check([door.clip(10, 6)]) == 0, "the newest were kept"
        assert cramped.seer.figures.sight_bytes == 3 * PAIR_BYTES

    def test_what_is_held_may_give_way_to_its_own_batch(self, network: Network) -> None:
        cramped = Sighted(network, pairs=4)
        door = Footage()
        cramped.check([door.clip(0)])
        assert cramped.check([door.clip(4), door.clip(12)]) == 6

    def test_no_room_at_all_keeps_nothing(self, network: Network) -> None:
        assert sights_of(network, TOKEN_BYTES - 1) is None
        none = Sighted(network, pairs=0)
        assert [none.check([Footage().clip(0)]) for _ in range(2)] == [4, 4]

    def test_a_camera_that_is_gone_frees_its_room(self, roomy: Sighted) -> None:
        roomy.check([Footage("door").clip(0), Footage("gate").clip(0)])
        roomy.seer.forget("door")
        assert roomy.check([Footage("gate").clip(0), Footage("hall").clip(0)]) == 4
        assert roomy.seer.figures.sight_bytes == 8 * PAIR_BYTES
        assert roomy.check([Footage("door").clip(0)]) == 4
        assert roomy.seer.figures.sight_evicted == 0

    def test_short_memory_leaves_nothing_half_kept(self, roomy: Sighted) -> None:
        door = Footage()
        roomy.check([door.clip(0)])
        roomy.tower.full = True
        with pytest.raises(MemoryError):
            roomy.seer.features([door.clip(4)])
        assert roomy.seer.figures.sight_misses == 4, "only what was answered is counted"
        roomy.tower.full = False
        assert roomy.check([door.clip(4)]) == 2

    def test_short_memory_while_keeping(self, network: Network) -> None:
        import torch

        sights = Sights(2 * PAIR_BYTES, 64, torch.float32, torch.device("cpu"))
        seer = Seer(network.vision, network.device, sights)
        door = Footage()
        seer.features([door.clip(0, 4)])
        sights.table, table = sights.table[:0], sights.table  # no place to write to: it raises
        with pytest.raises(IndexError):
            seer.features([door.clip(4, 4)])
        sights.table = table
        assert sights.held_bytes == 0
        for _ in range(2):
            seer.features([door.clip(8, 4)])
        assert sights.held_bytes == 2 * PAIR_BYTES


class TestForeseen:
    def test_a_pair_seen_beforehand_is_there_when_its_clip_comes(self, roomy: Sighted) -> None:
        door = Footage()
        for first in range(0, 8, 2):
            roomy.seer.foresee([door.clip(first, 2)])
        assert roomy.check([door.clip(0)]) == 0
        figures = roomy.seer.figures
        assert (figures.sight_foreseen, figures.sight_hits, figures.sight_misses) == (4, 4, 0)

    def test_what_is_kept_is_not_seen_again(self, roomy: Sighted) -> None:
        door = Footage()
        roomy.check([door.clip(0)])
        roomy.seer.foresee([door.clip(2, 2), door.clip(8, 2), door.clip(8, 2)])
        assert roomy.tower.pairs == 5
        assert roomy.seer.figures.sight_foreseen == 1

    def test_without_room_nothing_is_foreseen(self, network: Network) -> None:
        none = Sighted(network, pairs=0)
        none.seer.foresee([Footage().clip(0, 2)])
        assert none.tower.pairs == 0
