"""Which module may know which: read from the imports, held here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("config", "pipeline", "daemon", "tools")
"""Each imports itself and those before it."""

PURE = (
    "config/schedule.py",
    "daemon/web/attempts.py",
    "daemon/web/drawing.py",
    "daemon/web/hub.py",
    "daemon/web/metric_families.py",
    "daemon/web/metric_values.py",
    "daemon/web/sessions.py",
    "pipeline/bitstream.py",
    "pipeline/breaks.py",
    "pipeline/camera.py",
    "pipeline/clips.py",
    "pipeline/coverage.py",
    "pipeline/drill/facts.py",
    "pipeline/drill/limits.py",
    "pipeline/drill/names.py",
    "pipeline/drill/placing.py",
    "pipeline/drill/progress.py",
    "pipeline/drill/result.py",
    "pipeline/drill/standing.py",
    "pipeline/drill/timetable.py",
    "pipeline/drill_rows.py",
    "pipeline/drive.py",
    "pipeline/engines/answers.py",
    "pipeline/engines/calibration.py",
    "pipeline/engines/families/chat_rows.py",
    "pipeline/engines/families/document.py",
    "pipeline/engines/families/family.py",
    "pipeline/engines/families/other_rows.py",
    "pipeline/engines/families/pictures.py",
    "pipeline/engines/families/table.py",
    "pipeline/engines/question.py",
    "pipeline/engines/remote/bodies.py",
    "pipeline/engines/remote/dialect.py",
    "pipeline/engines/remote/replies.py",
    "pipeline/engines/remote/servers.py",
    "pipeline/engines/remote/statuses.py",
    "pipeline/engines/remote/trouble.py",
    "pipeline/engines/transformers/general/spoken.py",
    "pipeline/engines/modelopt/arithmetic.py",
    "pipeline/engines/modelopt/codes.py",
    "pipeline/engines/modelopt/packing.py",
    "pipeline/engines/native/words/pace.py",
    "pipeline/engines/native/words/sampling.py",
    "pipeline/engines/wording.py",
    "pipeline/errors.py",
    "pipeline/events.py",
    "pipeline/evidence/gone.py",
    "pipeline/footage_clock.py",
    "pipeline/frames.py",
    "pipeline/ledger.py",
    "pipeline/messages.py",
    "pipeline/nal.py",
    "pipeline/notify/notices.py",
    "pipeline/scenes/clips/findings.py",
    "pipeline/scenes/clips/resemblance.py",
    "pipeline/scenes/clips/rle.py",
    "pipeline/scenes/diffusion/facts.py",
    "pipeline/scenes/diffusion/flux.py",
    "pipeline/scenes/diffusion/noise.py",
    "pipeline/scenes/diffusion/run.py",
    "pipeline/scenes/diffusion/sdxl.py",
    "pipeline/scenes/http/dialects.py",
    "pipeline/scenes/incidents/course.py",
    "pipeline/scenes/incidents/incident.py",
    "pipeline/scenes/incidents/region.py",
    "pipeline/scenes/likeness.py",
    "pipeline/scenes/memory.py",
    "pipeline/scenes/memory_shapes.py",
    "pipeline/scenes/models/catalogue.py",
    "pipeline/scenes/models/folder.py",
    "pipeline/scenes/models/origins.py",
    "pipeline/scenes/models/selection.py",
    "pipeline/scenes/models/trouble.py",
    "pipeline/scenes/moving/depth.py",
    "pipeline/scenes/moving/path.py",
    "pipeline/scenes/setup.py",
    "pipeline/scenes/tensorrt/plan_key.py",
    "pipeline/scenes/tensorrt/profiles.py",
    "pipeline/scenes/tensorrt/tensors.py",
    "pipeline/scenes/validation.py",
    "pipeline/scheduler.py",
    "pipeline/selection.py",
    "pipeline/source.py",
    "pipeline/stats.py",
    "pipeline/types.py",
    "pipeline/verdicts.py",
    "tools/calibrating/choosing.py",
    "tools/calibrating/drawing.py",
    "tools/calibrating/fitting.py",
    "tools/calibrating/labelled.py",
    "tools/calibrating/outcome.py",
    "tools/calibrating/promises.py",
    "tools/calibrating/reliability.py",
    "tools/calibrating/wishes.py",
    "tools/evaluation/assembly.py",
    "tools/evaluation/costs.py",
    "tools/evaluation/drives.py",
    "tools/evaluation/duplicates.py",
    "tools/evaluation/evaluation.py",
    "tools/evaluation/judgement.py",
    "tools/evaluation/pictures.py",
    "tools/evaluation/reporting/charts.py",
    "tools/evaluation/reporting/cost_table.py",
    "tools/evaluation/reporting/figure_tables.py",
    "tools/evaluation/reporting/pair_tables.py",
    "tools/evaluation/reporting/tables.py",
    "tools/evaluation/statistics/answers.py",
    "tools/evaluation/statistics/controls.py",
    "tools/evaluation/statistics/delays.py",
    "tools/evaluation/statistics/delong.py",
    "tools/evaluation/statistics/false_alarms.py",
    "tools/evaluation/statistics/figures.py",
    "tools/evaluation/statistics/intervals.py",
    "tools/evaluation/statistics/levels.py",
    "tools/evaluation/statistics/libraries.py",
    "tools/evaluation/statistics/mcnemar.py",
    "tools/evaluation/statistics/ranking.py",
    "tools/evaluation/statistics/reliability.py",
    "tools/evaluation/statistics/resampling.py",
    "tools/evaluation/statistics/sample.py",
    "tools/installation/facts.py",
    "tools/installation/rules_core.py",
    "tools/installation/rules_tensorrt.py",
    "tools/installation/rules_torch.py",
    "tools/installation/versions.py",
    "tools/metrics.py",
    "tools/quantising/blueprint.py",
    "tools/quantising/config_file.py",
    "tools/quantising/drift.py",
    "tools/quantising/formats.py",
    "tools/reported.py",
    "tools/strip.py",
    "tools/times.py",
    "tools/training/examples.py",
    "tools/training/recipe.py",
    "tools/vqa/mme_categories.py",
    "tools/vqa/questions.py",
    "tools/vqa/resampling.py",
    "tools/vqa/results.py",
    "tools/vqa/rules.py",
    "tools/vqa/scoring.py",
    "tools/vqa/short_words.py",
    "tools/vqa/wording.py",
)
"""Things in, things out, time as an argument."""

EDGES = frozenset(
    {"aiohttp", "aiomqtt", "amqtt", "asyncio", "av", "cv2", "onnxruntime", "paho", "selectors"}
    | {"signal", "socket", "sqlite3", "subprocess", "threading", "urllib.request"}
)
"""What talks to the world or to a loop; no pure module imports it."""

ENGINES_MAY_KNOW = {"pipeline/types.py", "pipeline/errors.py", "pipeline/clock.py"}
HEAVY = {"PIL", "torch", "transformers", "tensorrt", "tensorrt_llm", "diffusers"}
READ_ENVIRONMENT = {"config/settings.py", "daemon/logs.py", "daemon/__main__.py"}
"""settings; EDGEWATCH_LOG; what systemd tells `notify`."""


@cache
def _modules() -> dict[str, ast.Module]:
    files = [file for layer in LAYERS for file in (ROOT / layer).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text()) for file in files}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Full names of all that is imported anywhere in a module, `a.b` of `from a import b` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(module: str) -> set[str]:
    """The modules of ours that a module imports, as paths."""
    known = _modules()
    found = set()
    for name in _imports(known[module]):
        path = name.removeprefix("edgewatch.").replace(".", "/")
        if name.startswith("edgewatch."):
            found |= {file for file in (f"{path}.py", f"{path}/__init__.py") if file in known}
    return found


def _modules_matching(prefix: str) -> list[str]:
    return sorted(module for module in _modules() if module.startswith(prefix))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_none_above_it(layer: str) -> None:
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    wrong = {
        (module, other)
        for module in _modules_matching(f"{layer}/")
        for other in _ours(module)
        if other.split("/")[0] not in allowed
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", ["pipeline/engines/", "pipeline/scenes/"])
def test_engines_and_scenes_know_types_and_errors_alone(folder: str) -> None:
    """A scene or engine can then be taken out, or run in a process of its own."""
    wrong = {
        (module, other)
        for module in _modules_matching(folder)
        for other in _ours(module)
        if not other.startswith(folder)
        and other != "pipeline/__init__.py"
        and other not in ENGINES_MAY_KNOW
    }
    assert wrong == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_touches_neither_the_world_nor_a_loop(module: str) -> None:
    """Nor does anything of ours that it imports."""
    seen: set[str] = set()
    waiting = {module}
    while waiting:
        current = waiting.pop()
        seen.add(current)
        touched = EDGES & {part for name in _imports(_modules()[current]) for part in _parts(name)}
        assert touched == set(), f"{module} imports {touched} by way of {current}"
        waiting |= {other for other in _ours(current) if not other.endswith("__init__.py")} - seen


def _parts(name: str) -> Iterator[str]:
    """The packages a name lies in: a.b.c lies in a, a.b and a.b.c."""
    pieces = name.split(".")
    return (".".join(pieces[: length + 1]) for length in range(len(pieces)))


def test_the_environment_has_few_readers() -> None:
    readers = {
        module
        for module, tree in _modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert readers - READ_ENVIRONMENT == set()


def test_heavy_libraries_are_imported_where_they_are_asked_for() -> None:
    """An engine that is not used costs neither time nor an installation."""
    wrong = {
        (module, name)
        for module, tree in _modules().items()
        for node in tree.body
        for name in _imports_of_statement(node)
        if name.split(".")[0] in HEAVY
    }
    assert wrong == set()


def _imports_of_statement(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imports(ast.Module([node], []))


def test_no_module_stands_in_a_circle() -> None:
    """Imports within functions count: a circle is one whenever it closes."""
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for other in sorted(_ours(module)):
                if not other.endswith("__init__.py"):
                    visit(other, (*path, module))
            done.add(module)

    for module in sorted(_modules()):
        visit(module, ())
