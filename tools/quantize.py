"""`edgewatch quantize`: makes a smaller checkpoint of a model, and says what it lost."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines.transformers.libraries import (
    installed_versions,
    refuse_wrong_versions,
)
from edgewatch.pipeline.errors import CameraError, EngineFailed
from edgewatch.tools.quantising.clips import ClipStore, KeptClip
from edgewatch.tools.quantising.drift import MOST_DRIFT, Drift, drift_of
from edgewatch.tools.quantising.footage import drawn_clips, recorded_clips
from edgewatch.tools.quantising.formats import FORMATS
from edgewatch.tools.quantising.making import Made, Order, Pour, book, make
from edgewatch.tools.quantising.modelopt import INSTALL
from edgewatch.tools.quantising.outcome import drift_document, drift_lines, sizes
from edgewatch.tools.quantising.scoring import Asking, score
from edgewatch.tools.quantising.steps import Bar, Steps
from edgewatch.tools.quantising.verification import Verified, verified
from edgewatch.tools.quantising.workplace import refuse_existing
from edgewatch.tools.recordings import find_recordings

COMPARED = 64
DRAWN = "drawn drives, as no footage was named"

DESCRIPTION = """\
Make a smaller checkpoint of a vision-language model with NVIDIA ModelOpt, calibrated on clips of
your own cameras; then verify it, load it again, and compare its scores with the original's. One
that is damaged or drifts too far is refused, and nothing of it is kept.
"""
EPILOG = f"""\
formats:
  nvfp4      4 bits, groups of 16: Blackwell (DGX Spark, RTX 50, B200); imitated elsewhere
  fp8        8 bits, floating point: Ada, Hopper, Blackwell
  int8-sq    8 bits, SmoothQuant: older GPUs
  int4-awq   4 bits for weights alone, groups of 128
The vision tower and lm_head stay in bfloat16, and so does the cache of keys and values.

examples:
  edgewatch quantize /models/Cosmos-Reason1-7B --to nvfp4 --clips /recordings
  edgewatch quantize /models/Cosmos-Reason1-7B --to fp8 --text articles.txt --out /models/small
  edgewatch quantize --verify /models/Cosmos-Reason1-7B-NVFP4
  edgewatch quantize /models/Cosmos-Reason1-7B --verify /models/Cosmos-Reason1-7B-NVFP4 \\
      --clips /recordings      also compares weights and scores with the original

Without --clips and --text it is calibrated on drives that edgewatch draws: enough for scales that
work, less sure than your own footage. A 7B model takes a GPU of 24 GB.
Needs more packages: {INSTALL}
exit codes: 0 made (or verified), 1 refused or not possible (nothing is left behind), 78 asked
wrongly, or a package is missing. See docs/quantize.md
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    _refuse_contradictions(parser, options)
    configure_logs(default="error", stream=sys.stderr)
    try:
        with _ended_by_sigterm():
            return _run(options, load_settings(options.config))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG
    except EngineFailed as error:
        sys.stderr.write(f"edgewatch quantize: {error}\n")
        return EX_FAILED
    except OSError as error:
        sys.stderr.write(f"edgewatch quantize: {error}; nothing was left behind\n")
        return EX_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("edgewatch quantize: interrupted; nothing was left behind\n")
        return EX_FAILED


def pour_of(paths: Sequence[str], plan: CameraPlan, wanted: int) -> Pour:
    """Return what pours the clips of recordings into a store; of drawn drives if none is named.

    Raises ConfigError if a path leads nowhere.
    """
    if not paths:

        def drawn(store: ClipStore, steps: Steps) -> str:
            with steps.step("drawing drives", wanted) as advance:
                for clip in drawn_clips(plan.clips, plan.prompt, wanted):
                    store.add(clip)
                    advance(1)
            return DRAWN

        return drawn
    found = find_recordings(paths)
    if found.failed:
        raise ConfigError("\n".join(f"--clips {one.name}: {one.reason}" for one in found.failed))

    def recorded(store: ClipStore, steps: Steps) -> str:
        read = 0
        with steps.step("reading recordings", len(found.recordings)) as advance:
            for recording in found.recordings:
                try:
                    for clip in recorded_clips(recording, plan):
                        store.add(clip)
                    read += 1
                except CameraError as error:
                    steps.say(f"{recording.name}: {error}")
                advance(1)
        return f"{read} recording{'' if read == 1 else 's'}"

    return recorded


def _run(options: argparse.Namespace, settings: Settings) -> int:
    plan = settings.plan_for(options.camera)
    with Bar() as bar:
        steps = Steps(bar, SystemClock())
        if options.verify:
            return _verify(options, settings, plan, steps)
        made = make(_order(options, settings, plan), steps)
    _tell_made(made, as_json=options.json)
    return EX_OK


def _order(options: argparse.Namespace, settings: Settings, plan: CameraPlan) -> Order:
    to = FORMATS[options.to]
    original: Path = options.model
    destination = options.out or original.absolute().with_name(
        f"{original.absolute().name}-{to.suffix}"
    )
    refuse_existing(destination)
    samples = options.samples or to.samples
    wanted = options.compare + (0 if options.text else samples)
    return Order(
        original=original,
        to=to,
        destination=destination,
        plan=plan,
        asking=_asking(options, settings),
        samples=samples,
        compared=options.compare,
        most_drift=options.most_drift,
        pour=pour_of(options.clips, plan, wanted),
        text=options.text,
    )


def _asking(options: argparse.Namespace, settings: Settings) -> Asking:
    setup = engine_setup(settings, baseline_dir=None)
    return Asking(setup.form, setup.largest_clip, options.device, options.batch)


def _verify(options: argparse.Namespace, settings: Settings, plan: CameraPlan, steps: Steps) -> int:
    """Verify a checkpoint that is there; compare it if its original is named."""
    refuse_wrong_versions(installed_versions())
    with steps.step("verifying") as advance:
        found = verified(options.verify, options.model, advance=lambda: advance(1))
    drift = simulated = None
    with tempfile.TemporaryDirectory(prefix="edgewatch-quantize-") as folder:
        store = ClipStore(Path(folder), options.compare)
        footage = pour_of(options.clips, plan, options.compare)(store, steps)
        clips = store.choose(0, options.compare).comparison
        asking = _asking(options, settings)
        after = score(options.verify, clips, asking, steps, "checkpoint")
        simulated = after.simulated
        if options.model:
            before = score(options.model, clips, asking, steps, "original")
            drift = drift_of(
                before.scores, after.scores, threshold=plan.threshold, simulated=simulated
            )
        _refuse_scores(options, clips, drift, after.scores)
    _tell_verified(options.verify, found, drift, footage, simulated, as_json=options.json)
    return EX_OK


def _refuse_scores(
    options: argparse.Namespace,
    clips: Sequence[KeptClip],
    drift: Drift | None,
    scores: Sequence[float],
) -> None:
    if not clips:
        raise ConfigError(
            "--clips: no clip could be cut from what was given. Name other recordings"
        )
    if drift is not None:
        reason = drift.refusal(options.most_drift)
    else:
        lost = sum(one != one for one in scores)
        reason = f"it gives no readable answer to {lost} of {len(scores)} clips" if lost else ""
    if reason:
        raise EngineFailed(f"{options.verify} is refused: {reason}", "quantise the original again")


def _tell_made(made: Made, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"checkpoint": str(made.destination), **book(made)}, allow_nan=False))
        return
    print(f"made {made.destination}")
    print(f"  {sizes(made.verified)}")
    print(f"  calibrated on {made.calibrated_on}")
    for line in drift_lines(made.drift):
        print(f"  {line}")


def _tell_verified(
    checkpoint: Path,
    found: Verified,
    drift: Drift | None,
    footage: str,
    simulated: str | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        document: dict[str, Any] = {
            "schema": 1,
            "checkpoint": str(checkpoint),
            "format": found.format.name,
            "weights_bytes": found.weights_bytes,
            "original_weights_bytes": found.original_bytes,
            "simulated": simulated or None,
            **(drift_document(drift) if drift else {}),
        }
        print(json.dumps(document, allow_nan=False))
        return
    print(f"{checkpoint} is sound")
    print(f"  {sizes(found)}")
    if drift is None:
        print("  loads and answers; name the original before --verify to compare their scores")
        if simulated:
            print(f"  simulated: {simulated}")
        return
    print(f"  compared on clips of {footage}")
    for line in drift_lines(drift):
        print(f"  {line}")


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does: with everything cleared away."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse_contradictions(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.verify is None:
        if options.model is None or options.to is None:
            parser.error("name MODEL and --to FORMAT, or --verify DIR")
        return
    for name in ("to", "out", "text", "samples"):
        if getattr(options, name) is not None:
            parser.error(f"--verify makes nothing: leave out --{name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgewatch quantize",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", nargs="?", type=Path, metavar="MODEL", help="the original checkpoint's directory"
    )
    parser.add_argument("--to", choices=list(FORMATS), help="the format to make")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where it goes; default: MODEL-FORMAT beside MODEL"
    )
    parser.add_argument(
        "--clips",
        nargs="+",
        default=(),
        metavar="PATH",
        help="recordings (files, folders, globs) to calibrate and to compare on",
    )
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="calibrate on a text instead of clips"
    )
    parser.add_argument(
        "--samples",
        type=_count(1, 100_000),
        metavar="N",
        help="clips or texts to calibrate on; default: 512 (int4-awq: 32)",
    )
    parser.add_argument(
        "--compare",
        type=_count(1, 10_000),
        default=COMPARED,
        metavar="N",
        help=f"clips to compare scores on, not calibrated on; default: {COMPARED}",
    )
    parser.add_argument(
        "--most-drift",
        type=_drift,
        default=MOST_DRIFT,
        metavar="X",
        help="largest mean change of P(anomaly) that is kept; default: "
        f"{MOST_DRIFT:g}, one label in twenty",
    )
    parser.add_argument("--verify", type=Path, metavar="DIR", help="verify DIR, and make nothing")
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:N"
    )
    parser.add_argument(
        "--batch", type=_count(1, 64), default=8, metavar="N", help="clips at a time; default: 8"
    )
    parser.add_argument("--camera", metavar="NAME", help="with this camera's prompt and clips")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings; default as for run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _count(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return number


def _drift(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value
