"""NVIDIA ModelOpt, driven: calibrated, quantised and exported with the recipe, in silence.

Source of the recipe: NVIDIA's hf_ptq example for NVFP4 (`max`, groups of 16, no quantised cache)
and ModelOpt's own defaults for the other formats; the vision tower and lm_head are left out by
name, which releases before 0.47 did not do by themselves.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising.formats import Format

EXCLUDED = ("*visual*", "*lm_head*", "*[kv]_bmm_quantizer", "*output_quantizer")
"""What no format of ours quantises: the vision tower, the head, the cache, and layers' outputs."""
_INERT = {"num_bits": 8, "axis": None}
"""What an excluded quantiser is set to besides being switched off. ModelOpt 0.47 computes a Conv3d
whose quantisers are set to NVFP4 with a kernel of its own even where they are switched off, and the
vision tower's patches come from one: without nvcc that is an error, with it a detour."""
INSTALL = "pip install 'edgewatch[quantize]'"
SHARD_SIZE = "5GB"


def _has(package: str) -> bool:
    return find_spec(package) is not None


def require_modelopt(has: Callable[[str], bool] = _has) -> str:
    """Import ModelOpt and return its version, before there is a model.

    Something in it keeps the frames of whoever imports it first (an error that it caught), and with
    them all that stands in their variables: a model would stay in memory to the end.

    Raises ConfigError if it, or what it needs, is not installed or does not load here.
    """
    absent = [one for one in ("torch", "transformers", "modelopt", "requests") if not has(one)]
    if absent:
        raise ConfigError(
            f"edgewatch quantize needs packages that are not installed ({', '.join(absent)}): "
            f"{INSTALL}"
        )
    version = metadata.version("nvidia-modelopt")
    try:
        with silence():
            import modelopt.torch.export
            import modelopt.torch.quantization  # noqa: F401 - see above
    except Exception as error:
        raise ConfigError(
            f"ModelOpt {version} cannot be imported here ({type(error).__name__}: {error}). Take "
            f"versions that go together: {INSTALL}"
        ) from error
    return version


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what the libraries print and warn of out of the command's own output."""
    from transformers.utils import logging as library_logging

    library_logging.disable_progress_bar()
    before = library_logging.get_verbosity()
    library_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        library_logging.set_verbosity(before)


def recipe(to: Format, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a format's configuration for ModelOpt, made of its own `defaults`.

    Newer releases list rules, of which the last that fits holds; older ones keep a table by name.
    """
    config: dict[str, Any] = copy.deepcopy(dict(defaults))
    rules = config["quant_cfg"]
    if isinstance(rules, dict):
        config["quant_cfg"] = rules | {name: {**_INERT, "enable": False} for name in EXCLUDED}
    else:
        rules.extend(
            {"quantizer_name": name, "cfg": dict(_INERT), "enable": False} for name in EXCLUDED
        )
    if to.calibration == "max":
        config["algorithm"] = "max"
    return config


def quantise(model: Any, to: Format, calibrate: Callable[[], None]) -> None:
    """Quantise a model in place; its weights stay as they are until the export.

    `model`: a Qwen2_5_VLForConditionalGeneration in bfloat16. `calibrate` shows it the samples, and
    may be called several times. Raises EngineFailed.
    """
    import torch

    with silence(), torch.inference_mode(), _told("quantise"):
        import modelopt.torch.quantization as mtq

        config = recipe(to, getattr(mtq, to.recipe))
        mtq.quantize(model, config, lambda _: calibrate())


def export(model: Any, directory: Path) -> dict[str, Any]:
    """Write a quantised model's weights; return what ModelOpt says under "quantization_config".

    The model is of no use afterwards. Raises EngineFailed.
    """
    import torch

    with silence(), torch.inference_mode(), _told("export"):
        from modelopt.torch.export import export_hf_checkpoint

        export_hf_checkpoint(
            model, dtype=torch.bfloat16, export_dir=directory, max_shard_size=SHARD_SIZE
        )
    config = json.loads((directory / "config.json").read_bytes())
    quantisation = config.get("quantization_config")
    if not isinstance(quantisation, dict):
        raise EngineFailed("ModelOpt's export does not say how it quantised", _UPGRADE)
    return quantisation


_UPGRADE = "install a newer one: pip install -U nvidia-modelopt"


@contextlib.contextmanager
def _told(step: str) -> Iterator[None]:
    """Turn whatever ModelOpt raises into an error that says whose it is."""
    import torch

    try:
        yield
    except (EngineFailed, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # its errors have no base of their own
        raise EngineFailed(
            f"ModelOpt {metadata.version('nvidia-modelopt')} could not {step} the model "
            f"({type(error).__name__}: {error})",
            f"use another format, or {_UPGRADE}",
        ) from error
