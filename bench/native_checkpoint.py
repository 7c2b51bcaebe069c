"""A checkpoint in 7B's shape with random weights, on disk: for what loads one as it is used.

    python -m bench.native_checkpoint DIRECTORY        # 16.6 GB

Its tokenizer is the tests' tiny one with each word of the engine's questions added as a token, so
that a prompt can be made as long as a real one (`prompt_of`). Weights are drawn on the GPU where
there is one, else a block of noise is repeated: nothing that is timed depends on them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.engine_subjects import CONFIG_7B, TEXT_AFTER, TEXT_BEFORE
from bench.native_subjects import DEVIATION, RandomWeights
from edgewatch.pipeline.engines.native.sizes import sizes_of
from edgewatch.pipeline.engines.native.weights.assembly import Shape, expected_shapes
from edgewatch.pipeline.engines.question import Form, verdict_question, words_question
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from tests.fakes.tiny_qwen import WORDS, make_tiny_qwen

if TYPE_CHECKING:
    import torch

SHARD_BYTES = 2_000_000_000
NOISE_VALUES = 1 << 24
FILLING = " Look"


def write_checkpoint(directory: Path, *, config: Mapping[str, Any] = CONFIG_7B) -> Path:
    """Write a checkpoint in bfloat16, in shards; return its directory.

    `config`: sizes, flat; special tokens are replaced by those of the tokenizer.
    """
    make_tiny_qwen(directory)
    _add_words(directory / "tokenizer.json")
    for file in directory.glob("*.safetensors*"):
        file.unlink()
    tiny = json.loads((directory / "config.json").read_bytes())
    tokens = {name: value for name, value in tiny.items() if name.endswith("token_id")}
    vision = tiny["vision_config"] | config["vision_config"]
    whole = tiny | dict(config) | tokens | {"vision_config": vision, "torch_dtype": "bfloat16"}
    (directory / "config.json").write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    _write_weights(directory, expected_shapes(sizes_of(whole)))
    return directory


def prompt_of(directory: Path, *, tokens: int = TEXT_BEFORE + TEXT_AFTER) -> str:
    """Return a prompt with which all text around a video is so many tokens, or the fewest more."""
    config = json.loads((directory / "config.json").read_bytes())
    scripts = ScriptReader(directory, int(config["video_token_id"]))

    def length(prompt: str) -> int:
        script = scripts.script(verdict_question(prompt, Form()))
        return len(script.before) + len(script.after)

    prompt = FILLING.strip()
    missing = tokens - length(prompt)
    return prompt + FILLING * max(0, missing)


def _add_words(file: Path) -> None:
    """Make each word of the questions one token, as it mostly is to a real tokenizer."""
    from tokenizers import AddedToken, Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    said = [verdict_question(FILLING, Form()), words_question(FILLING, Form())]
    found = re.findall(r" [A-Za-z]{2,}", " ".join(one.system + one.user for one in said))
    words = [word for word in dict.fromkeys(found) if word.strip() not in WORDS]
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    tokenizer.save(str(file))


def _write_weights(directory: Path, shapes: Mapping[str, Shape]) -> None:
    from safetensors.torch import save_file

    index: dict[str, str] = {}
    shards = list(_shards(shapes))
    read = _reader(shapes)
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({name: read(name) for name in names}, directory / file, {"format": "pt"})
        index |= dict.fromkeys(names, file)
        print(f"{file} written", file=sys.stderr, flush=True)
    table = {"metadata": {"total_size": sum(map(_bytes, shapes.values()))}, "weight_map": index}
    (directory / "model.safetensors.index.json").write_text(json.dumps(table, indent=2), "utf-8")


def _reader(shapes: Mapping[str, Shape]) -> Any:
    """Return what gives a weight on the host by its name."""
    import torch

    if torch.cuda.is_available():
        weights = RandomWeights(shapes, torch.device("cuda:0"))
        return lambda name: weights.read(name).cpu()
    noise = (torch.randn(NOISE_VALUES) * DEVIATION).to(torch.bfloat16)
    return lambda name: _repeated(noise, shapes[name], name)


def _repeated(noise: torch.Tensor, shape: Shape, name: str) -> torch.Tensor:
    import torch

    if len(shape) == 1 and not name.endswith(".bias"):
        return torch.ones(shape, dtype=noise.dtype)
    count = _bytes(shape) // 2
    return noise.repeat(-(-count // len(noise)))[:count].reshape(shape).clone()


def _shards(shapes: Mapping[str, Shape]) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, shape in shapes.items():
        if names and size + _bytes(shape) > SHARD_BYTES:
            yield names
            names, size = [], 0
        names.append(name)
        size += _bytes(shape)
    yield names


def _bytes(shape: Shape) -> int:
    count = 2
    for side in shape:
        count *= side
    return count


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", type=Path)
    options = parser.parse_args(argv)
    write_checkpoint(options.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
