"""Imports one library and says how that went: run in a process of its own, as it may crash."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def facts_of(module: str, library: Any) -> dict[str, object]:
    """Return what a library says of itself, as far as a rule asks."""
    match module:
        case "torch":
            return {
                "cuda": library.version.cuda or "",
                "archs": list(library.cuda.get_arch_list()),
                "sees_gpus": library.cuda.device_count(),
            }
        case "av":
            versions = library.library_versions.get("libavcodec", ())
            return {
                "decoders": [one for one in ("h264", "hevc", "mjpeg") if _decodes(library, one)],
                "ffmpeg": "with libavcodec " + ".".join(map(str, versions)),
            }
        case "transformers":
            library.AutoModelForImageTextToText  # noqa: B018 - its lazy import is what may fail
    return {}


def _decodes(library: Any, codec: str) -> bool:
    try:
        library.codec.Codec(codec, "r")
    except library.codec.codec.UnknownCodecError:
        return False
    return True


def main(argv: list[str]) -> int:
    """Import the module named and print one JSON object as the last line."""
    (module,) = argv
    try:
        said = {"worked": True, "facts": facts_of(module, importlib.import_module(module))}
    except Exception as error:  # noqa: BLE001 - whatever a foreign library raises is the finding
        lines = str(error).strip().splitlines()
        said = {"worked": False, "error": f"{type(error).__name__}: {lines[0] if lines else ''}"}
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
