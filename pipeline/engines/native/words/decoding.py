"""Writing behind a passage, token by token: the device goes on by itself, the host looks on.

Keys and values stand in one room, whose first slots, a multiple of 256, each step looks at under a
mask; the next token, its place and its slot are numbers on the device. So one step is the same
work each time, and on a GPU one CUDA graph a length.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from edgewatch.pipeline.engines.native.attention import fast_attention
from edgewatch.pipeline.engines.native.language import KeysValues, Language, Next
from edgewatch.pipeline.engines.native.packing import Packed
from edgewatch.pipeline.engines.native.words.sampling import Sampling, chosen, draws

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

BLOCK = 256
"""Slots by which the room grows, and by which steps look further."""


class Decoder:
    """Writes behind one passage at a time. One thread only."""

    def __init__(
        self,
        language: Language,
        device: torch.device,
        sampling: Sampling,
        *,
        most_tokens: int,
        graphs: bool = True,
    ) -> None:
        """`most_tokens`: of one text. `graphs`: whether to hold steps in CUDA graphs on a GPU."""
        import torch

        self._language = language
        self._device = device
        self._sampling = sampling
        self._gpu = device.type == "cuda"
        self._captures = graphs and self._gpu
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._pool: object | None = None
        self._room: KeysValues | None = None
        self._most_tokens = most_tokens
        self._read = 0
        self._asked = 0
        self._taken = 0
        self._events: list[torch.cuda.Event | None] = []
        with torch.inference_mode():
            self._id = torch.zeros(1, dtype=torch.int64, device=device)
            self._place = torch.zeros((3, 1), dtype=torch.int64, device=device)
            self._slot = torch.zeros_like(self._id)
            self._number = torch.zeros_like(self._id)
            self._written = torch.zeros(most_tokens, dtype=torch.int64, device=device)
            self._draws = torch.zeros(most_tokens, dtype=torch.float32, device=device)
            self._host = torch.zeros(most_tokens, dtype=torch.int64, pin_memory=self._gpu)

    @property
    def waiting(self) -> int:
        """Tokens that were asked for and not taken yet."""
        return self._asked - self._taken

    @property
    def can_ask(self) -> bool:
        """Whether there is room for another token."""
        return self._asked < self._most_tokens

    @property
    def held_bytes(self) -> int:
        """Of the room."""
        return self._room.held_bytes if self._room else 0

    def begin(
        self,
        packed: Packed,
        features: torch.Tensor | None,
        known: KeysValues | None,
        *,
        seed: int,
    ) -> None:
        """Read one passage and ask for the first token; what was written before is over.

        `known`: keys and values of the tokens that it begins with, as far as `packed` says they
        are known. `features`: see `Language.read`. `seed`: of the draws, where tokens are drawn.
        """
        import torch

        self._asked = self._taken = 0
        self._events.clear()
        self._read = packed.slot_count
        with torch.inference_mode():
            room = self._make_ready()
            with fast_attention(self._device):
                begin = KeysValues(room.keys[:, : self._read], room.values[:, : self._read])
                state = self._language.read(packed, features, known=[known], keep=begin)
            # Behind the mask all is multiplied by 0, which only leaves it out if it is finite; nor
            # does minus infinity leave out a key that is no number.
            room.values[:, self._read :].zero_()
            room.keys[:, self._read :].zero_()
            self._rewind(self._read - 1, int(packed.next_places[0]) - 1)
            if self._sampling.temperature:
                self._draws.copy_(torch.from_numpy(draws(seed, self._most_tokens)))
            self._write(state)
            self._send()

    def ask(self) -> None:
        """Read the last token and ask for the next one. `can_ask` must say that there is room."""
        import torch

        if not 0 < self._asked < self._most_tokens:
            raise ValueError(f"token {self._asked} of {self._most_tokens} cannot be asked for")
        slots = _blocks(self._read + self._asked)
        graph = self._graphs.get(slots)
        with torch.inference_mode():
            if graph is not None:
                graph.replay()
            else:
                self._advance(slots)
            self._send()

    def wait(self) -> None:
        """Wait until the next token that was asked for can be taken."""
        event = self._events[self._taken]
        if event is not None:
            event.synchronize()

    def take(self) -> int | None:
        """Return the next token that was asked for, if the device is so far."""
        if self._taken == self._asked:
            return None
        event = self._events[self._taken]
        if event is not None and not event.query():
            return None
        self._taken += 1
        return int(self._host[self._taken - 1])

    def _advance(self, slots: int) -> None:
        """Read the last token, looking at so many slots, and choose the next."""
        import torch

        assert self._room is not None
        mask = torch.zeros(slots, dtype=self._room.keys.dtype, device=self._device)
        mask.masked_fill_(self._order[:slots] > self._slot, -torch.inf)
        token = Next(self._id, self._place, self._slot, self._queries, mask)
        with _masked_attention(self._device):
            self._write(self._language.step(token, self._room))

    def _write(self, state: torch.Tensor) -> None:
        """Choose the token behind a state, and note it as the next to be read."""
        logits = self._language.logits(state)
        token = chosen(logits, self._sampling, self._draws[self._number])
        self._id.copy_(token)
        self._written.index_copy_(0, self._number, token)
        for counter in (self._place, self._slot, self._number):
            counter.add_(1)

    def _send(self) -> None:
        """Let the host have the token that was just asked for."""
        import torch

        part = slice(self._asked, self._asked + 1)
        self._host[part].copy_(self._written[part], non_blocking=self._gpu)
        self._events.append(
            torch.cuda.current_stream(self._device).record_event() if self._gpu else None
        )
        self._asked += 1

    def _rewind(self, slot: int, place: int) -> None:
        self._slot.fill_(slot)
        self._place.fill_(place)
        self._number.zero_()

    def _make_ready(self) -> KeysValues:
        """Make room for the passage and a whole text behind it, and capture its steps."""
        import torch

        slots = _blocks(self._read + self._most_tokens)
        if self._room is None or self._room.slots < slots:
            # The graphs know the old room, which must go first to make place.
            self._graphs.clear()
            self._pool = None
            self._room = None
            self._room = self._language.room(slots)
            self._queries = self._language.query_room(slots)
            self._order = torch.arange(slots, device=self._device)
        if self._captures:
            for each in range(_blocks(self._read + 1), slots + 1, BLOCK):
                if each not in self._graphs and self._captures:
                    self._capture(each)
        return self._room

    def _capture(self, slots: int) -> None:
        """Hold a step in a graph; if that fails, steps go on one kernel at a time."""
        import torch

        stream = torch.cuda.current_stream(self._device)
        side = torch.cuda.Stream(self._device)
        side.wait_stream(stream)
        try:
            with torch.cuda.stream(side):
                # What kernels set up at their first run must not fall into the capture.
                for _ in range(2):
                    self._rewind(0, 0)
                    self._advance(slots)
                self._rewind(0, 0)
            stream.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Other threads wait for events meanwhile, which is no part of this.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                self._advance(slots)
        except RuntimeError as error:
            self._captures = False
            self._graphs.clear()
            self._pool = None
            log.warning("words are written without a CUDA graph: slower", reason=str(error))
            return
        # What a step leaves behind stands outside: so all graphs may share what it takes within.
        self._pool = graph.pool()
        self._graphs[slots] = graph


def _blocks(slots: int) -> int:
    """Round up to whole blocks."""
    return -(-slots // BLOCK) * BLOCK


@contextmanager
def _masked_attention(device: torch.device) -> Iterator[None]:
    """Prefer the kernel that takes a mask and can be captured."""
    if device.type != "cuda":
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield
