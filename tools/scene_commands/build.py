"""`edgewatch scenes build`: a model's parts to ONNX, and to TensorRT plans of this GPU."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from edgewatch.config.settings import load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.diffusion.noise import check_size
from edgewatch.pipeline.scenes.memory import read_available_bytes
from edgewatch.pipeline.scenes.models.catalogue import Precision, SceneModel, size_bytes
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.models.held_folder import HeldFolder
from edgewatch.pipeline.scenes.models.licences import check_licence
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.tensorrt.device import Device, gpu_index
from edgewatch.pipeline.scenes.tensorrt.export import export_model
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.pipeline.scenes.tensorrt.ort_runner import OrtRunner
from edgewatch.pipeline.scenes.tensorrt.plan_store import PlanStore
from edgewatch.pipeline.scenes.tensorrt.plans import ModelPlans
from edgewatch.pipeline.scenes.tensorrt.tensorrt_library import load_tensorrt
from edgewatch.tools.scene_commands.setup import add_settings_options, scene_setup

_DESCRIPTION = """\
Export a model that was fetched to ONNX, and build TensorRT plans of it for this GPU and one size
of picture. What is there already is kept; a build that was cut goes on with the next part.
"""
_EXAMPLES = """\
examples:
  edgewatch scenes build --model flux.1-schnell --precision bf16 --size 1344x768
  edgewatch scenes build --model sdxl --precision fp32 --runtime onnxruntime

Stop the judge while building: TensorRT tries kernels, which takes memory and all of the GPU.

exit codes: 0 built · 2 refused (licence, disk, memory, size) · 4 TensorRT, a library or the
model missing, or TensorRT cannot build it · 78 settings wrong
"""
_SPARE_BYTES = 2 * 10**9
"""Left on the disk beside what is written."""
_MEMORY_FACTOR = 2.0
"""A part is in memory once as weights and once as what is being written or tried."""


@dataclass(slots=True)
class PartRow:
    """What became of one part."""

    part: str
    export_bytes: int
    export_seconds: float
    """0: it was there."""
    plan_bytes: int | None = None
    build_seconds: float | None = None
    key: str | None = None


def main(
    argv: Sequence[str],
    *,
    available_bytes: Callable[[], int] = read_available_bytes,
    free_disk_bytes: Callable[[Path], int] | None = None,
) -> int:
    """Run the command; SceneError, ConfigError and OSError go to the caller."""
    options = _parser().parse_args(argv)
    setup = scene_setup(load_settings(options.config), options)
    rows = build(
        setup,
        options.size,
        tensorrt=options.runtime == "tensorrt",
        progress=Progress(sys.stderr.isatty()),
        available_bytes=available_bytes,
        free_disk_bytes=free_disk_bytes,
    )
    document = {
        "schema": 1,
        "model": setup.model,
        "precision": setup.chosen_precision,
        "size": list(options.size),
        "runtime": options.runtime,
        "folder": str(setup.root),
        "parts": [asdict(row) for row in rows],
    }
    print(json.dumps(document, indent=1) if options.json else _table(rows))
    return EX_OK


def build(
    setup: SceneSetup,
    size: tuple[int, int],
    *,
    tensorrt: bool,
    progress: Progress,
    available_bytes: Callable[[], int] = read_available_bytes,
    free_disk_bytes: Callable[[Path], int] | None = None,
) -> list[PartRow]:
    """Export and build what is missing, a row a part. Raises SceneRefused, SceneUnavailable."""
    model, precision = setup.chosen_model, setup.chosen_precision
    check_licence(model, setup)
    check_size(size, model.side_multiple)
    library = load_tensorrt() if tensorrt else None
    folder = ExportFolder(setup.folder.onnx_dir(model, precision), precision)
    free = (free_disk_bytes or _free_disk_bytes)(setup.root)
    refuse_full_disk(model, precision, folder, free, tensorrt=tensorrt)
    refuse_short_memory(model, precision, available_bytes(), setup.resident_bytes)
    # A fetch or a purge meanwhile would take away what is being read.
    with HeldFolder(setup.folder):
        exports = export_model(
            setup.folder.model_dir(model),
            folder,
            precision,
            text_length=model.max_text_tokens,
            claims=Claims(setup.folder, model.name),
            on_part=lambda part: progress.tell(f"exporting {part}"),
        )
        rows = [
            PartRow(one.exported.part, one.exported.size_bytes, round(one.seconds, 3))
            for one in exports
        ]
        if library is None:
            _try_on_onnxruntime(folder, rows, progress)
        else:
            _build_plans(setup, folder, size, str(library.__version__), rows, progress)
    progress.end()
    return rows


def refuse_full_disk(
    model: SceneModel,
    precision: Precision,
    folder: ExportFolder,
    free_bytes: int,
    *,
    tensorrt: bool,
) -> None:
    """Refuse before an hour of work where the disk does not hold its end. Raises SceneRefused."""
    there = sum(path.stat().st_size for path in folder.root.rglob("*") if path.is_file())
    whole = size_bytes(model, precision)
    needed = max(0, whole - there) + (whole if tensorrt else 0) + _SPARE_BYTES
    if free_bytes < needed:
        raise SceneRefused(
            f"the disk is too small: exports and plans of {model.name} in {precision} take "
            f"{needed / 1e9:.1f} GB more below {folder.root}, and {free_bytes / 1e9:.1f} GB are "
            "free. Free some, or set [scenes] dir"
        )


def refuse_short_memory(
    model: SceneModel, precision: Precision, available_bytes: int, resident_bytes: int
) -> None:
    """Refuse what would push the judge out of memory. Raises SceneRefused."""
    largest = max(one.size_bytes(precision) for one in model.components)
    needed = round(largest * _MEMORY_FACTOR) + resident_bytes
    if available_bytes < needed:
        raise SceneRefused(
            f"not enough memory to build {model.name} in {precision}: its largest part takes "
            f"{needed / 1e9:.1f} GB with what is left to the judge, and "
            f"{available_bytes / 1e9:.1f} GB are available. Stop the judge meanwhile, or build a "
            "lower precision"
        )


class Progress:
    """Lines on stderr; on a terminal, one that changes."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._width = 0

    def tell(self, words: str) -> None:
        """Say what begins."""
        self._write(words)

    def steps(self, part: str, phase: str, done: int, steps: int) -> bool:
        """Show a phase's progress, on a terminal alone; return True: go on."""
        if self._terminal and steps:
            filled = 20 * done // steps
            bar = "#" * filled + "." * (20 - filled)
            self._write(f"building {part} [{bar}] {phase} {done}/{steps}")
        return True

    def end(self) -> None:
        """Clear the line."""
        if self._terminal and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")

    def _write(self, words: str) -> None:
        if self._terminal:
            sys.stderr.write("\r" + words[:100].ljust(self._width))
            self._width = min(100, max(self._width, len(words)))
        else:
            sys.stderr.write(f"{words}\n")
        sys.stderr.flush()


def _build_plans(
    setup: SceneSetup,
    folder: ExportFolder,
    size: tuple[int, int],
    version: str,
    rows: list[PartRow],
    progress: Progress,
) -> None:
    """Build what is missing, and write it into the rows."""
    model = setup.chosen_model
    claims = Claims(setup.folder, model.name)
    device = Device(gpu_index(setup.device))
    try:
        plans = ModelPlans(
            model,
            setup.chosen_precision,
            folder.facts(setup.folder.model_dir(model), model.max_text_tokens),
            folder,
            PlanStore(setup.folder.plans_dir()),
            device.machine(version),
        )
        for row in rows:
            progress.tell(f"building {row.part}")
            stored = plans.build(row.part, size, claims, partial(progress.steps, row.part))
            row.plan_bytes = stored.size_bytes
            row.build_seconds = float(stored.meta["build_seconds"])
            row.key = stored.path.parent.name
    finally:
        device.close()


def _try_on_onnxruntime(folder: ExportFolder, rows: list[PartRow], progress: Progress) -> None:
    """Load every part once: better refused now than when a picture is wanted."""
    for row in rows:
        progress.tell(f"loading {row.part}")
        graph = folder.graph_of(row.part)
        if graph is not None:
            runner = OrtRunner({row.part: graph})
            runner.load(row.part)
            runner.close()


def _free_disk_bytes(root: Path) -> int:
    there = next(one for one in (root, *root.parents) if one.exists())
    return shutil.disk_usage(there).free


def _table(rows: Sequence[PartRow]) -> str:
    head = f"{'part':<12}{'ONNX':>10}{'export':>10}{'plan':>10}{'build':>10}  key"
    lines = [head]
    for row in rows:
        exported = f"{row.export_seconds:.1f} s" if row.export_seconds else "was there"
        plan = "-" if row.plan_bytes is None else _megabytes(row.plan_bytes)
        built = "-" if row.build_seconds is None else f"{row.build_seconds:.1f} s"
        lines.append(
            f"{row.part:<12}{_megabytes(row.export_bytes):>10}{exported:>10}{plan:>10}{built:>10}"
            f"  {(row.key or '-')[:12]}"
        )
    return "\n".join(lines)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 1344x768")
    return int(width), int(height)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes build",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument(
        "--size", type=_size, default=(1344, 768), metavar="WxH", help="of pictures, in pixels"
    )
    parser.add_argument(
        "--runtime",
        choices=("tensorrt", "onnxruntime"),
        default="tensorrt",
        help="tensorrt builds plans; onnxruntime exports alone, for --device cpu",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser
