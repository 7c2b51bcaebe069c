"""The parts of `bench.native` by name, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.native_ablation import ablation
from bench.native_accuracy import accuracy, memory
from bench.native_lasting import random_sizes
from bench.native_run import Bench
from bench.native_speed import idle, speed
from bench.native_words import words

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "speed": speed,
    "idle": idle,
    "memory": memory,
    "words": words,
    "ablation": ablation,
    "random": random_sizes,
    "accuracy": accuracy,
}
