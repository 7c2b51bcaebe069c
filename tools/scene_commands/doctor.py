"""`edgewatch scenes doctor`: which backends and models can run here, and what the others lack."""

from __future__ import annotations

import argparse
import importlib.util
import json
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.exits import EX_OK
from edgewatch.pipeline.errors import SceneError, SceneRefused
from edgewatch.pipeline.scenes.backends import BACKENDS
from edgewatch.pipeline.scenes.diffusers.libraries import (
    installed_versions,
    refuse_wrong_versions,
)
from edgewatch.pipeline.scenes.diffusers.precision import refuse_missing
from edgewatch.pipeline.scenes.memory import (
    CONTEXT_BYTES,
    DeviceMemory,
    choose_plan,
    plans,
    read_available_bytes,
    reserve_of,
)
from edgewatch.pipeline.scenes.models.catalogue import MODELS, Precision, SceneModel, size_bytes
from edgewatch.pipeline.scenes.models.licences import check_licence
from edgewatch.pipeline.scenes.models.room import free_bytes
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.tools.scene_commands.device_report import ask_device_report
from edgewatch.tools.scene_commands.make import picture_size
from edgewatch.tools.scene_commands.setup import add_settings_options, scene_setup

EX_UNAVAILABLE = 4
SIZE = (1024, 1024)
PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "safetensors",
    "accelerate",
    "bitsandbytes",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "tensorrt",
    "cuda-python",
)

DESCRIPTION = """\
Say which backends can run here, what the others lack, and which model fits in which precision.
Nothing is loaded; torch and TensorRT are asked in a process of their own, for a minute at most.
"""
EPILOG = """\
examples:
  edgewatch scenes doctor
  edgewatch scenes doctor --size 1344x768 --json

memory: the peak of one picture, by the memory plan; how: all networks at once where there is room,
else text encoders first, else one network at a time. runs: memory alone; a model must be fetched
and its licence accepted besides.

exit codes: 0 the backend of the settings can run, 4 it cannot, 1 anything else, 78 settings wrong
"""


@dataclass(frozen=True, slots=True)
class BackendState:
    """Whether a backend can run here."""

    backend: str
    ready: bool
    says: str


def main(
    argv: Sequence[str] | None = None,
    *,
    ask: Callable[[], dict[str, Any]] = ask_device_report,
    meminfo: Path = Path("/proc/meminfo"),
) -> int:
    """Run the command and return its exit code. Raises ConfigError, SceneError, OSError.

    `ask` and `meminfo` stand in for the child that looks at the GPU, and for the kernel.
    """
    options = _parser().parse_args(argv)
    settings = load_settings(options.config)
    setup = scene_setup(settings, options)
    report = ask()
    device = _device(report, setup.device)
    versions = installed_versions(PACKAGES)
    states = [_state(name, setup, settings, versions, report) for name in BACKENDS]
    available = read_available_bytes(device, meminfo=meminfo)
    document = {
        "backends": [asdict(state) for state in states],
        "versions": versions,
        "device": report,
        "available_bytes": available,
        "available_of": "host" if device is None or device.unified else "gpu",
        "kept_free_bytes": max(setup.resident_bytes, reserve_of(device)),
        "folder": str(setup.root),
        "disk_free_bytes": free_bytes(setup.root),
        "token": token_state(settings.scenes.token_file),
        "size": list(options.size),
        "models": list(_rows(setup, options.size, device, available)),
    }
    if options.json:
        print(json.dumps(document))
    else:
        _print(document)
    chosen = next(state for state in states if state.backend == setup.backend)
    return EX_OK if chosen.ready else EX_UNAVAILABLE


def token_state(file: Path | None) -> str:
    """Say whether there is a token, without opening the file."""
    if file is None:
        return "not set"
    try:
        status = file.stat()
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        return f"{file} is open to other users: chmod 600 {file}"
    return "there" if status.st_size else f"{file} is empty"


def _device(report: dict[str, Any], wanted: str) -> DeviceMemory | None:
    gpus = report.get("torch", {}).get("gpus") or []
    if wanted == "cpu" or not gpus:
        return None
    index = int(wanted.partition(":")[2] or 0)
    if index >= len(gpus):
        return None
    gpu = gpus[index]
    return DeviceMemory(gpu["free_bytes"], gpu["total_bytes"], gpu["unified"])


def _state(
    backend: str,
    setup: SceneSetup,
    settings: Settings,
    versions: dict[str, str | None],
    report: dict[str, Any],
) -> BackendState:
    match backend:
        case "procedural":
            return BackendState(backend, True, "always there: scenes are drawn")
        case "http":
            url = settings.scenes.url
            if url is None:
                return BackendState(backend, False, "no image server: set [scenes] url")
            token = token_state(settings.scenes.http_token_file)
            return BackendState(backend, True, f"{url}, token {token}; it was not asked")
        case "diffusers":
            return _diffusers(setup, versions, report)
    return _tensorrt(setup, versions, report)


def _diffusers(
    setup: SceneSetup, versions: dict[str, str | None], report: dict[str, Any]
) -> BackendState:
    try:
        refuse_wrong_versions(versions)
        torch = report.get("torch", {})
        if words := report.get("error") or torch.get("error"):
            return BackendState("diffusers", False, f"torch does not work: {words}")
        gpus = torch.get("gpus") or []
        refuse_missing(setup.chosen_precision, versions, cuda=bool(gpus))
        _refuse_model(setup, "diffusers")
    except SceneError as error:
        return BackendState("diffusers", False, str(error))
    where = f"{gpus[0]['name']}, SM {gpus[0]['sm']}" if gpus else "the CPU: minutes a picture"
    return BackendState("diffusers", True, f"{setup.model} on {where}")


def _tensorrt(
    setup: SceneSetup, versions: dict[str, str | None], report: dict[str, Any]
) -> BackendState:
    plans_there = len(list(setup.folder.plans_dir().glob("*/plan")))
    found = report.get("tensorrt", {})
    if versions["tensorrt"] is None and "version" not in found:
        return BackendState("tensorrt", False, "TensorRT is not installed: pip install tensorrt")
    if words := report.get("error") or found.get("error"):
        return BackendState("tensorrt", False, f"TensorRT does not work: {words}")
    if not report.get("torch", {}).get("gpus") and importlib.util.find_spec("cuda") is None:
        return BackendState("tensorrt", False, "neither torch nor cuda-python sees a GPU")
    if not plans_there:
        says = f"no plans in {setup.folder.plans_dir()}: edgewatch scenes build {setup.model}"
        return BackendState("tensorrt", False, says)
    return BackendState("tensorrt", True, f"TensorRT {found['version']}, {plans_there} plans")


def _refuse_model(setup: SceneSetup, backend: str) -> None:
    """Raise SceneError unless the model lies here and may be used."""
    model = setup.chosen_model
    folder = setup.folder.model_dir(model)
    if not (folder / "model_index.json").is_file():
        raise SceneRefused(f"{model.name} is not in {folder}: edgewatch scenes fetch {model.name}")
    check_licence(model, setup)


def _rows(
    setup: SceneSetup, size: tuple[int, int], device: DeviceMemory | None, available: int
) -> Iterator[dict[str, Any]]:
    for model in MODELS.values():
        for precision in model.precisions:
            yield _row(setup, model, precision, size, device, available)


def _row(
    setup: SceneSetup,
    model: SceneModel,
    precision: Precision,
    size: tuple[int, int],
    device: DeviceMemory | None,
    available: int,
) -> dict[str, Any]:
    context = CONTEXT_BYTES if device is not None else 0
    *_, least = plans(model, precision, size, context_bytes=context)
    try:
        plan = choose_plan(
            model,
            precision,
            size,
            available,
            setup.resident_bytes,
            reserve_bytes=reserve_of(device),
            context_bytes=context,
        )
        runs, why = True, str(plan.layout)
        if precision == "fp4" and device is None:
            runs, why = False, "needs a GPU"
    except SceneRefused as error:
        plan, runs, why = least, False, str(error)
    return {
        "model": model.name,
        "precision": precision,
        "size_bytes": size_bytes(model, precision),
        "peak_bytes": plan.peak_bytes,
        "least_peak_bytes": least.peak_bytes,
        "layout": plan.layout,
        "tiled": plan.tiled,
        "steps": model.steps,
        "runs": runs,
        "why": why,
        "here": (setup.folder.model_dir(model) / "model_index.json").is_file(),
    }


def _print(document: dict[str, Any]) -> None:
    for state in document["backends"]:
        print(
            f"{'ready  ' if state['ready'] else 'missing'}  {state['backend']:<11} {state['says']}"
        )
    there = [f"{name} {version}" for name, version in document["versions"].items() if version]
    missing = [name for name, version in document["versions"].items() if not version]
    print(f"\npackages: {', '.join(there) or 'none of them'}")
    if missing:
        print(f"not installed: {', '.join(missing)}")
    for gpu in document["device"].get("torch", {}).get("gpus", []):
        kind = "shared with the host" if gpu["unified"] else f"{_gb(gpu['total_bytes'])} of its own"
        print(f"GPU: {gpu['name']}, SM {gpu['sm']}, memory {kind}")
    print(
        f"available: {_gb(document['available_bytes'])} ({document['available_of']}), of which "
        f"{_gb(document['kept_free_bytes'])} stay free; disk of {document['folder']}: "
        f"{_gb(document['disk_free_bytes'])} free; hub token: {document['token']}"
    )
    width, height = document["size"]
    print(f"\none picture of {width}x{height}:")
    print(f"{'model':<15} {'precision':<9} {'weights':>8} {'memory':>8} {'steps':>5}  runs here")
    for row in document["models"]:
        how = row["layout"].replace("_", " ") + (", tiled" if row["tiled"] else "")
        runs = f"yes, {how}" if row["runs"] else f"no, {_why(row['why'])}"
        print(
            f"{row['model']:<15} {row['precision']:<9} {_gb(row['size_bytes']):>8} "
            f"{_gb(row['peak_bytes']):>8} {row['steps']:>5}  {runs}"
            f"{'' if row['here'] else ' (not fetched)'}"
        )


def _why(words: str) -> str:
    return "not enough memory" if words.startswith("not enough memory") else words


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch scenes doctor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--size", type=picture_size, default=SIZE, metavar="WxH", help="of a picture (1024x1024)"
    )
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser
