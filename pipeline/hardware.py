"""Decoding by hardware, where FFmpeg and the machine offer it; else in software, and said so."""

from __future__ import annotations

from collections.abc import Callable

import av
import structlog
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer

log = structlog.get_logger()

_missing: set[str] = set()
"""Devices that this machine turned out not to have; each is tried, and reported, once."""


def opened_with(open_on: Callable[[HWAccel | None], InputContainer], wish: str) -> InputContainer:
    """Open a source with the hardware wished for: "off", "auto" or one of FFmpeg's names.

    Where a device is missing it is opened once more, in software. Codecs that the device does
    not decode are decoded in software by FFmpeg itself. Raises what `open_on` raises.
    """
    for name in _candidates(wish):
        try:
            return open_on(HWAccel(device_type=name, allow_software_fallback=True))
        except (av.error.FFmpegError, RuntimeError, ValueError) as error:
            container = open_on(None)  # raises if it was not the device
            _missing.add(name)
            log.warning("hardware decoding not available", device=name, reason=_plain(error))
            if wish != "auto" or not _candidates(wish):
                return container
            container.close()
    return open_on(None)


def _candidates(wish: str) -> list[str]:
    names = hwdevices_available() if wish == "auto" else [wish] if wish != "off" else []
    return [name for name in names if name not in _missing]


def _plain(error: Exception) -> str:
    """Name what went wrong without FFmpeg's own text, which may hold the address."""
    return getattr(error, "strerror", None) or type(error).__name__
