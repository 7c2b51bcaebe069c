"""`edgewatch scenes purge`: removes models, exports and plans that edgewatch put there."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.scenes.models.catalogue import MODELS, model_named
from edgewatch.pipeline.scenes.models.folder import ModelFolder
from edgewatch.pipeline.scenes.models.purging import Doomed, doomed, purge
from edgewatch.pipeline.scenes.models.room import in_gb
from edgewatch.tools.scene_commands.setup import scene_root

DESCRIPTION = """\
Remove what `fetch` and `build` put into the folder of [scenes] dir. Without --yes: only tell what
would go. Files that are in no manifest of edgewatch stay, and so do links and other programs'
caches; which licences were accepted is kept in models.lock.
"""
EPILOG = f"""\
models: {", ".join(MODELS)}

examples:
  edgewatch scenes purge              what would go, and its size
  edgewatch scenes purge sdxl --yes

exit codes: 0 removed (or told), 2 refused (a fetch runs, the manifest is damaged), 1 anything
else, 78 settings wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Raises ConfigError, SceneError, OSError."""
    options = _parser().parse_args(argv)
    folder = ModelFolder(scene_root(load_settings(options.config), options))
    model = model_named(options.model).name if options.model else None
    found = (
        (purge if options.yes else doomed)(folder, model)
        if folder.root.is_dir()
        else Doomed((), ())
    )
    if options.json:
        print(json.dumps(_document(folder, found, removed=options.yes)))
    else:
        print(_words(folder, found, removed=options.yes), end="")
    return EX_OK


def _document(folder: ModelFolder, found: Doomed, *, removed: bool) -> dict[str, object]:
    return {
        "folder": str(folder.root),
        "removed": removed,
        "files": [
            {"path": one.path, "model": one.model, "what": one.what, "bytes": one.size_bytes}
            for one in found.files
        ],
        "bytes": found.size_bytes,
        "left": list(found.left),
    }


def _words(folder: ModelFolder, found: Doomed, *, removed: bool) -> str:
    lines = []
    sizes: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for one in found.files:
        sizes[one.model, one.what] += one.size_bytes
        counts[one.model, one.what] += 1
    for (model, what), count in sorted(counts.items()):
        lines.append(f"{model or '-'}  {what}: {count} files, {in_gb(sizes[model, what])}")
    lines += [f"left alone, not as edgewatch made it: {path}" for path in found.left]
    if not found.files:
        lines.append(f"nothing of edgewatch's is in {folder.root}")
    elif removed:
        lines.append(f"removed {len(found.files)} files, {in_gb(found.size_bytes)}")
    else:
        lines.append(
            f"{len(found.files)} files, {in_gb(found.size_bytes)} in {folder.root} would go. "
            "Nothing was removed; add --yes"
        )
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes purge",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="only what belongs to it")
    parser.add_argument("--yes", action="store_true", help="remove it")
    parser.add_argument("--config", type=Path, help="settings file")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="instead of [scenes] dir")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser
