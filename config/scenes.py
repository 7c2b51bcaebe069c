"""`[scenes]`: what makes synthetic scenes, and whose models it may use."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from edgewatch.config.addresses import Address
from edgewatch.config.rules import broken
from edgewatch.config.sections import FilePath, Section

HUB_URL = "https://huggingface.co"


class Scenes(Section):
    """`[scenes]`: how `edgewatch scenes` makes pictures. The daemon itself needs none of it."""

    backend: Literal["procedural", "diffusers", "tensorrt", "http"] = "procedural"
    model: Literal["flux.1-schnell", "flux.1-dev", "sdxl"] = "flux.1-schnell"
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp8", "fp4"] = "auto"
    """`auto`: the model's own, bf16 or fp16."""
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """None: as the model's card says."""
    dir: FilePath | None = None
    """Models, ONNX exports and plans; None: `scenes` in `[service] data_dir`."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    resident_bytes: Annotated[int, Field(ge=0)] = 8_000_000_000
    """Memory that is left free beside a model, for the judge and the machine."""
    dev_commercial_licence: Annotated[str, Field(max_length=200)] | None = None
    """Asserts a written commercial licence for FLUX.1-dev, which forbids surveillance else."""

    hub_url: Annotated[str, Field(max_length=400)] = HUB_URL
    """Where models are fetched from: the hub, or a mirror of it."""
    token_file: FilePath | None = None
    """The hub's token, for gated models."""

    url: Annotated[str, Field(max_length=400)] | None = None
    """An image server, for `http`."""
    dialect: Literal["openai", "nim"] = "openai"
    http_token_file: FilePath | None = None
    """The image server's token."""
    ca_file: FilePath | None = None
    """Certificates to check hub and image server against; None: the system's."""
    request_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Longest wait for a picture from the image server."""

    @field_validator("hub_url", "url")
    @classmethod
    def _urls_are_http_without_secret(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = Address.parse(value)
        if parts.scheme not in ("http", "https"):
            broken("must be an http:// or https:// address", "See docs/scenes.md")
        if parts.has_password or parts.user:
            broken(
                "holds a user or password",
                "Remove what stands before the '@'; a token goes into a file of its own",
            )
        if "?" in value or "#" in value:
            broken("holds a '?' or '#'", "Write the server's address alone")
        return value.rstrip("/")

    @field_validator("dev_commercial_licence")
    @classmethod
    def _licence_names_a_contract(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"bfl-commercial:[\w./ -]*\w[\w./ -]*", value):
            broken(
                "names no contract",
                'Write "bfl-commercial:<contract id>", if you have one with Black Forest Labs',
            )
        return value

    @model_validator(mode="after")
    def _backend_has_what_it_needs(self) -> Self:
        if self.backend == "http" and self.url is None:
            broken(
                'is missing: backend = "http" asks an image server',
                'Set url = "http://127.0.0.1:8000/v1", its address',
                "url",
            )
        return self
