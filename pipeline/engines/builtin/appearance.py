"""Appearance: what a pretrained network sees in each patch of a frame, and how it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from edgewatch.pipeline.engines.builtin.motion import Peak, scaled_size
from edgewatch.pipeline.types import Pixels

Floats = npt.NDArray[np.float32]
Booleans = npt.NDArray[np.bool_]

CHANNELS = 320
"""Length of a patch's feature vector."""

CELL_PIXELS = 32
"""Side of the patch of the network's input that one vector describes."""

_AREA = 224 * 128
_TOP_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame's appearance; every vector has length 1."""

    patches: npt.NDArray[np.float16]
    """(rows, columns, CHANNELS)."""
    whole: Floats
    """(CHANNELS,): the mean over the picture."""


class Backbone:
    """The network up to its last block (EfficientNet-Lite0, see BACKBONE-LICENSE.txt).

    A run uses the calling thread alone and one frame alone, so a frame's features do not depend
    on what else is computed.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        data = resources.files(__package__).joinpath("backbone.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def features(self, pixels: Pixels) -> Floats:
        """Return the raw features of a frame, (CHANNELS, rows, columns)."""
        size = look_size(pixels.shape[1], pixels.shape[0])
        scaled = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return np.asarray(self._session.run(None, {"pixels": scaled[None]})[0], np.float32)

    def look(self, pixels: Pixels, seen: Booleans | None = None) -> Look:
        """Describe a frame. `seen`: which cells count for it as a whole; None: all."""
        features = self.features(pixels)
        whole = features.mean(axis=(1, 2)) if seen is None else features[:, seen].mean(axis=1)
        patches = np.moveaxis(features, 0, 2)
        patches = patches / (np.linalg.norm(patches, axis=2, keepdims=True) + 1e-6)
        return Look(
            patches=np.ascontiguousarray(patches, np.float16),
            whole=whole / (np.linalg.norm(whole) + np.float32(1e-6)),
        )


def look_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) at which frames of a size are looked at."""
    return scaled_size(width, height, _AREA, CELL_PIXELS)


def measure(
    looks: Sequence[Look], frames: Sequence[int], seen: Booleans | None = None
) -> dict[str, Peak]:
    """Turn the looks of one clip into its appearance figures by name.

    `frames`: the position in the clip of each look. `seen`: which cells are judged; None: all.
    All figures are cosine distances.
    """
    if len(looks) < 2:
        return {}
    wholes = np.stack([look.whole for look in looks])
    patches = np.stack([look.patches for look in looks]).astype(np.float32)
    steps = 1.0 - (wholes[1:] * wholes[:-1]).sum(axis=1)
    maps = 1.0 - (patches[1:] * patches[:-1]).sum(axis=3)
    share = 1.0
    if seen is not None:
        maps, share = maps * seen, float(seen.mean())
    locals_ = np.array([_top(field, share) for field in maps])
    whole_at, local_at = int(np.argmax(steps)), int(np.argmax(locals_))
    step, frame = float(steps[whole_at]), frames[whole_at + 1]
    local = float(locals_[local_at])
    return {
        "scene_change": _peak(step, maps[whole_at], frame),
        "sudden_change": _peak(step - float(np.median(steps)), maps[whole_at], frame),
        "local_change": _peak(local, maps[local_at], frames[local_at + 1]),
    }


def _peak(value: float, field: Floats, frame: int) -> Peak:
    """Place a figure at its field's largest cell; nowhere, if most of the picture has it."""
    if float((field > 0.5 * field.max()).mean()) > 0.5:
        return Peak(value, frame=frame)
    row, column = np.unravel_index(int(np.argmax(field)), field.shape)
    rows, columns = field.shape
    return Peak(value, (float(column) + 0.5) / columns, (float(row) + 0.5) / rows, frame)


def _top(field: Floats, share: float) -> float:
    flat = np.sort(field.ravel())
    return float(flat[-max(1, int(flat.size * _TOP_SHARE * share)) :].mean())
