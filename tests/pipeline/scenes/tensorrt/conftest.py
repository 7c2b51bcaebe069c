"""Exports of tiny models, made once: torch's exporter takes seconds for Flux."""

from __future__ import annotations

import pytest

pytest.importorskip("diffusers", reason="the extra scenes is not installed")
pytest.importorskip("onnxscript", reason="the extra scenes is not installed")

from tests.fakes.tiny_diffusion import tiny_flux, tiny_flux_dev, tiny_sdxl
from tests.pipeline.scenes.tensorrt.tiny_models import TinyModel, tiny_model


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """SDXL, exported."""
    return tiny_model(tmp_path_factory.mktemp("sdxl"), "sdxl", tiny_sdxl())


@pytest.fixture(scope="session")
def schnell(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """FLUX.1-schnell, exported."""
    return tiny_model(tmp_path_factory.mktemp("schnell"), "flux.1-schnell", tiny_flux())


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """FLUX.1-dev, with guidance and a shift by size, exported."""
    return tiny_model(tmp_path_factory.mktemp("dev"), "flux.1-dev", tiny_flux_dev())
