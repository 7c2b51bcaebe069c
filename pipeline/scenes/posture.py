"""Posture: where a person's joints are while walking, standing, sitting, falling and lying.

Places are (forward, left, up) from the point on the ground between the feet, in body heights;
the proportions are those of an adult (Drillis and Contini 1966: leg 0.53, upper arm 0.19).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Pose = Literal["walking", "standing", "sitting", "lying", "falling"]
"""`falling` and `sitting` have a progress: from upright (0) to the ground or the seat (1)."""
Joints = npt.NDArray[np.float64]
"""float64, shape (21, 3)."""

LEG_LEFT, LEG_RIGHT = slice(0, 4), slice(4, 8)
"""Hip, knee, ankle, toe."""
ARM_LEFT, ARM_RIGHT = slice(8, 11), slice(11, 14)
"""Shoulder, elbow, hand."""
SHOULDERS, HIPS = slice(14, 16), slice(16, 18)
HEAD = slice(18, 21)
"""Crown (centre of the skull), face, neck."""

STRIDE_OF_HEIGHT: Final = 0.84
"""How far two steps carry, in body heights: the feet do not slide at this."""

_THIGH, _SHIN, _FOOT = 0.245, 0.246, 0.085
_UPPER_ARM, _FOREARM = 0.175, 0.165
_ANKLE_UP = 0.039
_HIP_HALF, _SHOULDER_HALF = 0.048, 0.105
_TRUNK = 0.295
_LYING_UP = 0.055
_STUMBLING = 0.25


def joints_of(pose: Pose, phase: float, progress: float) -> Joints:
    """Place all joints; `phase` in radians, `progress` 0 to 1 (see `figure.draw_figure`)."""
    progress = min(1.0, max(0.0, progress))
    if pose == "walking":
        return _grounded(_walking(phase))
    if pose == "standing":
        return _grounded(_standing(phase))
    if pose == "sitting":
        return _grounded(_sitting(phase, progress))
    return _fallen(phase, 1.0 if pose == "lying" else progress)


def _walking(phase: float) -> Joints:
    legs, arms = [], []
    for turn in (phase, phase + np.pi):
        # The knee bends as the leg leaves the ground and is straight again when the heel strikes.
        knee = 0.10 + 0.95 * max(0.0, float(np.cos(turn + 0.55))) ** 2
        legs.append((0.45 * float(np.sin(turn)) + 0.05 + 0.3 * (knee - 0.1), knee))
        swing = -0.5 * float(np.sin(turn))
        arms.append((swing, 0.28 + 0.25 * max(0.0, swing)))
    return _built(legs, arms, lean=0.06)


def _standing(phase: float) -> Joints:
    sway = 0.02 * float(np.sin(phase))
    return _built(
        [(0.03 + sway, 0.05), (-0.02 + sway, 0.03)],
        [(0.04 - sway, 0.2), (0.02 + sway, 0.24)],
        lean=0.02 + sway,
    )


def _sitting(phase: float, progress: float) -> Joints:
    down = progress * progress * (3.0 - 2.0 * progress)
    sway = 0.015 * float(np.sin(phase))
    leg = (0.03 + 1.42 * down, 0.05 + 1.42 * down)
    # Who sits down bends forward first, to keep the balance.
    lean = 0.04 + sway + 0.5 * float(np.sin(np.pi * progress)) * down
    arm = (0.05 + 0.4 * down, 0.22 + 0.75 * down)
    return _built([leg, (leg[0] - 0.05, leg[1] - 0.03)], [arm, arm], lean=lean)


def _fallen(phase: float, progress: float) -> Joints:
    """Topple forward about the feet, knees buckling, arms thrown out, until flat on the ground."""
    buckling = float(np.sin(np.pi * min(1.0, progress * 1.15))) if progress < 0.87 else 0.0
    thrown = min(1.0, progress * 2.2)
    legs = [(0.10 + 0.55 * buckling, 0.12 + 0.95 * buckling), (0.5 * buckling - 0.05, 0.42)]
    arms = [(0.1 + 2.2 * thrown, 0.5), (-0.1 + 1.5 * thrown, 0.8)]
    body = _grounded(_built(legs, arms, lean=0.08))
    if progress < _STUMBLING:
        # Out of the stride that it began in.
        stride = _grounded(_walking(phase))
        body = stride + (body - stride) * (progress / _STUMBLING)
    angle = (np.pi / 2) * progress**1.7
    cosine, sine = np.cos(angle), np.sin(angle)
    forward, up = body[:, 0].copy(), body[:, 2].copy()
    body[:, 0] = forward * cosine + up * sine
    # One side of the body lies lower than the other once it is down.
    body[:, 2] = up * cosine - forward * sine * 0.4 + _LYING_UP * sine
    body[:, 2] = np.maximum(body[:, 2], 0.028 * sine)
    return body


def _built(legs: list[tuple[float, float]], arms: list[tuple[float, float]], lean: float) -> Joints:
    """Put limbs to a trunk whose hips are at the origin; angles in radians, positive forward."""
    rows: list[tuple[float, float, float]] = []
    for (thigh, knee), side in zip(legs, (1.0, -1.0), strict=True):
        hip = (0.0, side * _HIP_HALF, 0.0)
        middle = _below(hip, _THIGH, thigh)
        ankle = _below(middle, _SHIN, thigh - knee)
        # The toe points along the shin's turn, at most half of it.
        pitch = 0.55 * min(0.0, thigh - knee)
        toe = (
            ankle[0] + _FOOT * float(np.cos(pitch)),
            ankle[1] + 0.012 * side,
            ankle[2] - 0.022 + _FOOT * float(np.sin(pitch)),
        )
        rows += [hip, middle, ankle, toe]
    chest = (_TRUNK * float(np.sin(lean)), 0.0, _TRUNK * float(np.cos(lean)))
    for (upper, elbow), side in zip(arms, (1.0, -1.0), strict=True):
        shoulder = (chest[0], side * _SHOULDER_HALF, chest[2] - 0.01)
        joint = _below(shoulder, _UPPER_ARM, upper, outward=0.022 * side)
        rows += [shoulder, joint, _below(joint, _FOREARM, upper + elbow)]
    rows += [(chest[0], side * 0.072, chest[2] - 0.012) for side in (1.0, -1.0)]
    rows += [(0.0, side * 0.034, 0.035) for side in (1.0, -1.0)]
    nod = lean * 1.3
    along = np.array((np.sin(nod), 0.0, np.cos(nod)))
    across = np.array((np.cos(nod), 0.0, -np.sin(nod)))
    base = np.array(chest)
    head = [base + 0.125 * along - 0.008 * across, base + 0.105 * along + 0.022 * across]
    return np.vstack([np.array(rows), *head, base + 0.03 * along])


def _below(
    place: tuple[float, float, float], length: float, angle: float, outward: float = 0.0
) -> tuple[float, float, float]:
    forward, left, up = place
    return (
        forward + length * float(np.sin(angle)),
        left + outward,
        up - length * float(np.cos(angle)),
    )


def _grounded(joints: Joints) -> Joints:
    """Lift the body so that its lower foot stands on the ground."""
    soles = [float(joints[leg][2:, 2].min()) for leg in (LEG_LEFT, LEG_RIGHT)]
    joints[:, 2] += 0.019 - min(soles)
    return joints
