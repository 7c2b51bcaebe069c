"""Side files: all of a checkpoint but its weights, copied as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from edgewatch.pipeline.errors import EngineFailed

CONFIG = "config.json"
QUANTISATION = "hf_quant_config.json"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".ckpt", ".msgpack", ".h5")
_INDEX_SUFFIX = ".index.json"
_PIXELS = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
_NEEDED = ("tokenizer.json",)


def side_files(checkpoint: Path) -> Iterator[Path]:
    """Yield the files that go along: tokenizer, preprocessors, chat template, licence, ...

    Not among them: weights, their index, config.json, and what says of an earlier quantisation.
    Hidden files and folders are a download's own books.
    """
    for file in sorted(checkpoint.iterdir()):
        is_weight = file.name.endswith((*WEIGHT_SUFFIXES, _INDEX_SUFFIX))
        if file.name[0] == "." or is_weight or file.name in (CONFIG, QUANTISATION):
            continue
        if file.is_file():
            yield file


def copy_side_files(original: Path, made: Path) -> list[str]:
    """Copy them, over what an export left; return their names. Raises EngineFailed."""
    names = []
    for file in side_files(original):
        try:
            shutil.copyfile(file, made / file.name)
        except OSError as error:
            raise EngineFailed(
                f"{file} could not be copied ({error.strerror or error})",
                "free space, or mend the original checkpoint",
            ) from error
        names.append(file.name)
    return names


def side_file_problems(made: Path, original: Path | None) -> list[str]:
    """Return what is lost or changed of the files beside the weights, a sentence each."""
    found = [f"{name} is missing" for name in _NEEDED if not (made / name).is_file()]
    if not any((made / name).is_file() for name in _PIXELS):
        found.append(
            "preprocessor_config.json is missing: frames would be seen at another size or light"
        )
    if original is None:
        return found
    for file in side_files(original):
        copy = made / file.name
        if not copy.is_file():
            sentence = f"{file.name} is missing"
            if not any(one.startswith(sentence) for one in found):
                found.append(f"{sentence}, which the original has")
        elif copy.read_bytes() != file.read_bytes():
            found.append(f"{file.name} differs from the original's")
    return found
