"""`edgewatch scenes validate`: are these pictures, and is the truth beside these clips true?"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.findings import ClipFindings
from edgewatch.pipeline.scenes.clips.sidecar import SUFFIX
from edgewatch.pipeline.scenes.still_file import png_texts
from edgewatch.pipeline.scenes.validation import ImageFindings, compare, inspect

EX_INVALID = 3
PICTURES = frozenset({".png", ".jpg", ".jpeg"})
MOST_PICTURE_BYTES = 256 * 1024 * 1024

DESCRIPTION = """\
Examine pictures and clips. Pictures: flat, noise, clipped, and whether they are still what their
sidecar says. Clips of `edgewatch scenes clip`: file, truth, order of frames, and that the recipe
drawn again gives the same pixels. Folders are searched with all below them.
"""
EPILOG = """\
examples:
  edgewatch scenes validate scenes/
  edgewatch scenes validate stills/ --reference stills-bf16/ --json

columns: std, entropy: of the grey levels; lag 1, lag 8: how far pixels so far apart agree; fine:
share of the power above 0.25 cycles a pixel; psnr, ssim: against the picture of the same name in
--reference, 100 dB and 1 where they are the same.

exit codes: 0 all of them are good, 3 one or more are not, 2 nothing to examine, 1 anything else
"""


@dataclass(frozen=True, slots=True)
class _Picture:
    path: Path
    findings: ImageFindings | None
    trouble: tuple[str, ...]
    psnr_db: float | None = None
    ssim: float | None = None

    @property
    def passed(self) -> bool:
        return not self.trouble


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Raises SceneError, OSError."""
    options = _parser().parse_args(argv)
    pictures, sidecars = _found(options.paths)
    if not pictures and not sidecars:
        names = ", ".join(map(str, options.paths))
        raise SceneRefused(f"{names}: no PNG, JPEG or clip of `edgewatch scenes clip` there")
    rows = [_examined(path, options.reference) for path in pictures]
    clips = _verified(sidecars)
    bad = sum(not row.passed for row in rows) + sum(not clip.passed for clip in clips)
    if options.json:
        document = {
            "pictures": [_document(row) for row in rows],
            "clips": [clip.document() for clip in clips],
            "bad": bad,
        }
        print(json.dumps(document))
    else:
        _print_pictures(rows)
        for clip in clips:
            print(f"{'good' if clip.passed else 'BAD ':4}  {clip.path}  {clip.trouble}".rstrip())
        print(f"{len(rows)} pictures, {len(clips)} clips, {bad} bad")
    return EX_INVALID if bad else EX_OK


def _verified(sidecars: Sequence[Path]) -> list[ClipFindings]:
    if not sidecars:
        return []
    from edgewatch.pipeline.scenes.clips.verification import verify_clip

    return [verify_clip(path) for path in sidecars]


def _found(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the pictures and the clips' sidecars below some paths, sorted."""
    pictures: set[Path] = set()
    clips: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise SceneRefused(f"{path} does not exist")
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.name.startswith(".") or not file.is_file():
                continue
            if file.suffix.lower() in PICTURES:
                pictures.add(file)
            elif file.name.endswith(SUFFIX) or (path.is_file() and file.suffix == ".mp4"):
                clips.add(file)
    return sorted(pictures), sorted(clips)


def _examined(path: Path, reference: Path | None) -> _Picture:
    try:
        data = _read(path)
    except OSError as error:
        return _Picture(path, None, (f"cannot be read ({error.strerror})",))
    pixels = _decoded(data)
    if pixels is None:
        return _Picture(path, None, ("is no picture that can be read",))
    findings = inspect(pixels)
    trouble = [words for _, words in findings.faults] + list(_sidecar_trouble(path, data))
    if reference is None:
        return _Picture(path, findings, tuple(trouble))
    twin = reference / path.name if reference.is_dir() else reference
    try:
        other = _decoded(_read(twin))
        if other is None:
            raise ValueError(f"{twin} is no picture")
        psnr_db, ssim = compare(pixels, other)
    except (OSError, ValueError) as error:
        trouble.append(f"cannot be compared: {error}")
        return _Picture(path, findings, tuple(trouble))
    return _Picture(path, findings, tuple(trouble), psnr_db, ssim)


def _sidecar_trouble(path: Path, data: bytes) -> list[str]:
    """Say what does not agree with the sidecar of `scenes make`; a picture may have none."""
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return []
    try:
        record = json.loads(sidecar.read_bytes())
        expected = record["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return [f"its sidecar {sidecar.name} cannot be read"]
    trouble = []
    if hashlib.sha256(data).hexdigest() != expected:
        trouble.append(f"it is not the file that {sidecar.name} speaks of (its hash differs)")
    if path.suffix.lower() == ".png" and png_texts(data).get("synthetic") != "true":
        trouble.append("it lacks the mark that says it is synthetic")
    return trouble


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_PICTURE_BYTES)


def _decoded(data: bytes) -> Any:
    """Return float32 RGB, 0 to 1, or None."""
    if not data:
        return None
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        return None
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255.0)


_FIGURES = ("std", "entropy_bits", "lag_1", "lag_8", "high_frequencies", "clipped")
_HEAD = ("", "size", "std", "entropy", "lag 1", "lag 8", "fine", "clipped", "psnr", "ssim", "file")


def _print_pictures(rows: Sequence[_Picture]) -> None:
    if not rows:
        return
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    for row in cells:
        last = len(row) - 1
        parts = [
            text if column == last else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(parts).rstrip())


def _cells(row: _Picture) -> tuple[str, ...]:
    found = row.findings
    figures = (
        ("-",) * 7
        if found is None
        else (
            f"{found.width}x{found.height}",
            f"{found.std:.1f}",
            f"{found.entropy_bits:.1f}",
            f"{found.lag_1:.2f}",
            f"{found.lag_8:.2f}",
            f"{found.high_frequencies:.3f}",
            f"{found.clipped:.2f}",
        )
    )
    psnr_db = "-" if row.psnr_db is None else f"{row.psnr_db:.1f}"
    ssim = "-" if row.ssim is None else f"{row.ssim:.2f}"
    why = "" if row.passed else f": {'; '.join(row.trouble)}"
    return ("good" if row.passed else "BAD", *figures, psnr_db, ssim, f"{row.path}{why}")


def _document(row: _Picture) -> dict[str, Any]:
    found = row.findings
    figures = dict.fromkeys(_FIGURES) if found is None else {n: getattr(found, n) for n in _FIGURES}
    return {
        "file": str(row.path),
        "passed": row.passed,
        "trouble": list(row.trouble),
        "size": None if found is None else [found.width, found.height],
        **{name: _number(value) for name, value in figures.items()},
        "psnr_db": _number(row.psnr_db),
        "ssim": _number(row.ssim),
    }


def _number(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes validate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="file or folder")
    parser.add_argument("--reference", type=Path, help="picture, or folder of the same names")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser
