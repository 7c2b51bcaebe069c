"""What tells one checkpoint's weights from another's, without reading them whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgewatch.pipeline.engines.checkpoint import weight_files

_SAMPLES = 64
_SAMPLE_BYTES = 65_536


def weight_signs(directory: Path) -> Iterator[bytes]:
    """Yield for each file of weights its name, size, header, and 64 samples spread to its end.

    Reading gigabytes whole would take seconds and, on a Spark, memory. Raises EngineFailed if
    there are no weights.
    """
    for file in weight_files(directory):
        size_bytes = file.stat().st_size
        yield f"{file.name} {size_bytes}\n".encode()
        with file.open("rb") as stream:
            header_bytes = int.from_bytes(stream.read(8), "little")
            yield stream.read(header_bytes)
            start = stream.tell()
            reach_bytes = max(0, size_bytes - start - _SAMPLE_BYTES)
            for number in range(_SAMPLES):
                stream.seek(start + number * reach_bytes // (_SAMPLES - 1))
                yield stream.read(_SAMPLE_BYTES)
