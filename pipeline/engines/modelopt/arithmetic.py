"""How a format's products are computed on a device, and what is to be said of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.engines.modelopt.scheme import Scheme

Way = Literal["native", "unpacked", "packed"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """One way of computing with a checkpoint's layers."""

    scheme: Scheme
    way: Way
    """ "native": the device's own products of the format. "unpacked": imitated, weights unpacked
    once at load. "packed": imitated, weights unpacked at each call: slower, but as small as they
    are stored."""
    dtype: str
    """Type of everything else: "bfloat16" or "float32"."""

    @property
    def simulated(self) -> str:
        """What is not the format's own, for people; empty where all is."""
        found = self.scheme.format
        said = ""
        if found.algorithm == "W4A16_AWQ":
            # Its products are the model's own type everywhere; what a kernel of its own would
            # change is memory and speed.
            said = f"{found.title} unpacked to {self.dtype}"
        elif self.way != "native":
            said = f"{found.title} imitated in {self.dtype}"
        if self.scheme.cache:
            cache = f"keys and values in {self.dtype}, not {self.scheme.cache}"
            said = f"{said}, {cache}" if said else cache
        return said

    @property
    def sentence(self) -> str:
        """What runs, for the log: "FP8 products of the device", "NVFP4 imitated in ..."."""
        what = self.simulated or f"{self.scheme.format.title} products of the device"
        return f"{what}, weights unpacked at each call" if self.way == "packed" else what


def ways(scheme: Scheme, *, fp8_products: bool) -> tuple[Way, ...]:
    """Return the ways that a device has for a format, the fastest first."""
    if scheme.format.algorithm == "FP8" and fp8_products:
        return ("native",)
    return ("unpacked", "packed")
