"""Rules of what every engine needs: Python, PyAV, OpenCV, ONNX Runtime, our own demands. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from edgewatch.tools.findings import Finding, fail, ok, warn
from edgewatch.tools.installation.facts import Facts
from edgewatch.tools.installation.versions import dotted, numbers

OLDEST_PYTHON = (3, 11)
NEWEST_TRIED_PYTHON = (3, 12)
DECODERS = ("h264", "hevc", "mjpeg")
"""What cameras send."""
REINSTALL = "pip install --force-reinstall edgewatch"


def core_findings(facts: Facts) -> Iterator[Finding]:
    """Look at what is needed whatever the engine."""
    yield _python(facts)
    yield from _demands(facts)
    yield from _pyav(facts)
    yield from _opencv(facts)
    yield from _onnxruntime(facts)


def _python(facts: Facts) -> Finding:
    version = facts.python[:2]
    shown = dotted(facts.python)
    if version < OLDEST_PYTHON:
        return fail(
            "python",
            shown,
            f"edgewatch needs {dotted(OLDEST_PYTHON)} or newer",
            "Install Python 3.12, and edgewatch into a new environment of it.",
        )
    if version > NEWEST_TRIED_PYTHON:
        return warn(
            "python",
            shown,
            f"edgewatch was tried up to {dotted(NEWEST_TRIED_PYTHON)}",
            "Take Python 3.12 if something does not install or work.",
        )
    return ok("python", shown, f"on {facts.system}")


def _demands(facts: Facts) -> Iterator[Finding]:
    """Hold each of our own dependencies against what is installed."""
    wrong = []
    for one in facts.wanted:
        version = facts.version(one.package.lower().replace("_", "-"))
        if version is None:
            wrong.append(f"{one.text} is not installed")
        elif not one.holds(version):
            wrong.append(f"{one.package} {version} is installed, {one.text} is needed")
    if wrong:
        yield fail("dependencies", "edgewatch", "; ".join(wrong), REINSTALL)
    elif facts.wanted:
        yield ok("dependencies", "edgewatch", f"all {len(facts.wanted)} in the versions needed")


def _pyav(facts: Facts) -> Iterator[Finding]:
    version = facts.version("av")
    if version is None:
        return  # named among the dependencies
    if numbers(version) >= (19,) and facts.python[:2] < (3, 12):
        yield fail(
            "PyAV", version, "needs Python 3.12 from version 19 on", "pip install 'av>=18,<19'"
        )
        return
    tried = facts.imports.get("av")
    if tried and not tried.worked:
        yield fail(
            "PyAV",
            version,
            f"cannot be imported: {tried.error}",
            "pip install --force-reinstall 'av>=18,<19' (a wheel, which brings its own FFmpeg)",
        )
        return
    decoders = facts.fact("av", "decoders")
    lacking = [one for one in DECODERS if isinstance(decoders, list) and one not in decoders]
    if lacking:
        yield fail(
            "PyAV",
            version,
            f"its FFmpeg cannot decode {', '.join(lacking)}",
            "It was built from source against another FFmpeg: pip install --force-reinstall "
            "--only-binary av 'av>=18,<19'",
        )
    elif tried:
        yield ok("PyAV", version, f"FFmpeg {facts.fact('av', 'ffmpeg') or 'of its own'}")


def _opencv(facts: Facts) -> Iterator[Finding]:
    builds = [
        name
        for name in (
            *("opencv-python", "opencv-python-headless"),
            *("opencv-contrib-python", "opencv-contrib-python-headless"),
        )
        if facts.version(name)
    ]
    if len(builds) > 1:
        yield warn(
            "OpenCV",
            ", ".join(builds),
            "several builds share one folder, and the last that was installed has overwritten the "
            "others",
            f"pip uninstall -y {' '.join(builds)}; pip install opencv-python-headless",
        )
    tried = facts.imports.get("cv2")
    if tried and not tried.worked:
        cure = "pip install --force-reinstall opencv-python-headless"
        if "libGL" in tried.error:
            cure = f"pip uninstall -y opencv-python; {cure} (needs no screen)"
        if "numpy" in tried.error.lower():
            cure = "pip install 'opencv-python-headless<4.12', which goes with numpy below 2"
        yield fail(
            "OpenCV", builds[0] if builds else "", f"cannot be imported: {tried.error}", cure
        )


def _onnxruntime(facts: Facts) -> Iterator[Finding]:
    builds = [one for one in ("onnxruntime", "onnxruntime-gpu") if facts.version(one)]
    if len(builds) > 1:
        yield warn(
            "ONNX Runtime",
            " and ".join(builds),
            "both share one folder, and the last that was installed has overwritten the other",
            "pip uninstall -y onnxruntime-gpu; pip install --force-reinstall 'onnxruntime<1.28'",
        )
    version = facts.version(builds[0]) if builds else None
    if version and numbers(version) >= (1, 28):
        yield warn(
            "ONNX Runtime",
            version,
            "newer ones tell their maker over the network how they are used",
            "pip install 'onnxruntime<1.28'",
        )
