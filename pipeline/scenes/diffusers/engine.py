"""The scene engine `diffusers`: Flux and SDXL from a local folder, part by part if need be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneError, SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.device import (
    capability_of,
    choose_device,
    device_name,
    give_back,
    memory_of,
    wait_for,
)
from edgewatch.pipeline.scenes.diffusers.embeddings import Embedding, Embeddings
from edgewatch.pipeline.scenes.diffusers.libraries import (
    installed_versions,
    quiet_libraries,
    refuse_wrong_versions,
)
from edgewatch.pipeline.scenes.diffusers.parts import (
    FolderParts,
    PartFacts,
    PartSource,
    family_of,
)
from edgewatch.pipeline.scenes.diffusers.precision import arithmetic, refuse_missing
from edgewatch.pipeline.scenes.diffusers.stages import Stages
from edgewatch.pipeline.scenes.diffusion.noise import check_size, flux_noise, sdxl_noise
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.memory import (
    CONTEXT_BYTES,
    MemoryPlan,
    choose_plan,
    read_available_bytes,
    reserve_of,
)
from edgewatch.pipeline.scenes.models.licences import check_licence
from edgewatch.pipeline.scenes.models.manifest import Manifest
from edgewatch.pipeline.scenes.setup import SceneSetup

OnPart = Callable[[str, int, int], None]
"""Told (part, done, of all): a part's load (0 of 1, 1 of 1), each step of denoising."""

TEXT_PARTS = ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2")


class DiffusersEngine:
    """Makes stills by diffusers. One thread; `cancel` may be called from any.

    Parts are loaded when a picture needs them. Which stay depends on the memory there is when
    the picture's size is known: all; the text encoders not; or one network at a time.
    """

    def __init__(
        self,
        setup: SceneSetup,
        *,
        parts: Callable[[Any], PartSource] | None = None,
        available_bytes: Callable[[Any], int] | None = None,
        on_part: OnPart | None = None,
    ) -> None:
        """Check names alone; nothing is loaded.

        `parts`: makes the source of parts for a device; None: the model's folder, with its
        licence checked. `available_bytes`: what a device has to give; None: asked of the system.
        Raises SceneRefused for a model or precision that there is not.
        """
        self._setup = setup
        self._model, self._precision = setup.chosen_model, setup.chosen_precision
        self._family = family_of(self._model)
        self._make_parts = parts
        self._available = available_bytes or (
            lambda device: read_available_bytes(memory_of(device))
        )
        self._on_part = on_part or (lambda _part, _done, _of: None)
        self._cancelled = threading.Event()
        self._device: Any = None
        self._source: PartSource | None = None
        self._facts: PartFacts | None = None
        self._stages: Stages | None = None
        self._embeddings: Embeddings | None = None
        self.plan: MemoryPlan | None = None
        """Of the last picture; None before the first."""

    @property
    def name(self) -> str:
        """Backend, model and precision."""
        return f"diffusers:{self._model.name}:{self._precision}"

    @property
    def arithmetic(self) -> str:
        """What is really computed, in words; once started."""
        return arithmetic(self._precision, capability_of(self._opened.device))

    @property
    def facts(self) -> dict[str, Any]:
        """What belongs beside a picture so that it can be made again; once started."""
        return {
            "arithmetic": self.arithmetic,
            "device": device_name(self._opened.device),
            "steps": self._setup.chosen_steps,
            "weights": self._opened.facts.fingerprint,
            "versions": installed_versions(),
            "plan": None if self.plan is None else self.plan.words,
            "planned_bytes": None if self.plan is None else self.plan.peak_bytes,
        }

    def start(self) -> None:
        """Check libraries, licence, files and memory; load nothing large yet.

        Raises SceneUnavailable for what is missing, SceneRefused for the licence, or where not
        even the smallest picture would fit.
        """
        if self._stages is not None:
            return
        refuse_wrong_versions(installed_versions())
        model, precision = self._model, self._precision
        if self._make_parts is None:
            check_licence(model, self._setup)
        self._device = choose_device(self._setup.device)
        installed = installed_versions(("bitsandbytes", "accelerate"))
        refuse_missing(precision, installed, self._device.type == "cuda")
        with quiet_libraries():
            source = (
                self._make_parts(self._device)
                if self._make_parts is not None
                else FolderParts(
                    self._setup.folder.model_dir(model), model, precision, self._device
                )
            )
            facts = source.facts()
        self._source, self._facts = source, facts
        stages = Stages(source, self._family, facts, self._device, self._loading)
        least = self._sides()[0]
        self._plan((least, least))
        self._embeddings = Embeddings(
            self._setup.folder.embeddings_dir(model),
            model=model.name,
            precision=precision,
            revision=facts.fingerprint,
            manifest=Manifest(self._setup.folder) if self._make_parts is None else None,
        )
        self._stages = stages

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Make one picture; see the protocol.

        Besides: raises SceneRefused for a prompt longer than the model reads, or when there is no
        room; SceneInvalid where a network gave NaN; SceneError when cancelled.
        """
        self._refuse_size(size)
        stages = self._opened
        steps = self._setup.chosen_steps
        noise = flux_noise if self._family == "flux" else sdxl_noise
        facts = stages.facts
        latents = noise(seed, size, channels=facts.latent_channels, factor=facts.factor)
        plan = self.plan = self._plan(size)
        self._cancelled.clear()
        with quiet_libraries(), self._told():
            words = self._words(stages, prompt, plan)
            if plan.layout != "resident":
                stages.free(*TEXT_PARTS)
            end = stages.denoise(
                words,
                latents,
                size,
                steps=steps,
                guidance=self._model.guidance,
                on_step=self._stepped,
            )
            if not np.isfinite(end).all():
                raise SceneInvalid(
                    f"{self.name} gave NaN while denoising: the precision is not usable for this "
                    "model on this device; choose bf16"
                )
            if plan.layout == "one_at_a_time":
                stages.free(stages.core)
            picture = stages.decode(end, size, tiled=plan.tiled)
        if picture.shape != (size[1], size[0], 3):
            raise SceneInvalid(
                f"{self.name} made {picture.shape[1]}x{picture.shape[0]} of {size[0]}x{size[1]}"
            )
        return picture

    def listen(self, on_part: OnPart) -> None:
        """Tell of parts and steps from now on; what it raises ends the picture."""
        self._on_part = on_part

    def cancel(self) -> None:
        """End the picture being made after its present step; `generate` raises SceneError."""
        self._cancelled.set()

    def close(self) -> None:
        """Free networks and what the allocator keeps; the weights leave the page cache too."""
        stages, self._stages = self._stages, None
        source, self._source = self._source, None
        if stages is not None:
            stages.free(*stages.loaded)
        if source is not None:
            source.forget()

    @property
    def loaded(self) -> Mapping[str, Any]:
        """The parts that are in memory now, by name."""
        return {} if self._stages is None else self._stages.loaded

    @property
    def _opened(self) -> Stages:
        if self._stages is None:
            raise SceneUnavailable(f"{self.name} was not started, or is closed")
        return self._stages

    def _words(self, stages: Stages, prompt: str, plan: MemoryPlan) -> Embedding:
        """Return the prompt encoded, stored or anew."""
        length = self._model.max_text_tokens
        assert self._embeddings is not None
        if (stored := self._embeddings.read(prompt, length)) is not None:
            return stored
        if plan.layout != "resident":  # of an earlier picture
            stages.free(stages.core, "vae")
        encoded = stages.encode(prompt, length)
        if not (np.isfinite(encoded.tokens).all() and np.isfinite(encoded.pooled).all()):
            raise SceneInvalid(f"{self.name}: a text encoder gave NaN; choose bf16")
        self._embeddings.write(prompt, length, encoded)
        return encoded

    def _plan(self, size: tuple[int, int]) -> MemoryPlan:
        """Choose the fastest way there is room for, counting what is loaded as room.

        Raises SceneRefused, which says what would fit.
        """
        assert self._facts is not None
        facts, on_gpu = self._facts, self._device.type == "cuda"
        held = self._stages.held_bytes if self._stages is not None else 0
        return choose_plan(
            self._model,
            self._precision,
            size,
            self._available(self._device) + held,
            self._setup.resident_bytes,
            reserve_bytes=reserve_of(memory_of(self._device)),
            context_bytes=CONTEXT_BYTES if on_gpu else 0,
            weights=facts.weights,
        )

    def _sides(self) -> tuple[int, int]:
        """Return the shortest and longest side, in pixels: the catalogue's count of latents."""
        assert self._facts is not None
        model = self._model
        unit = 2 * self._facts.factor
        return (
            model.least_side // model.side_multiple * unit,
            model.most_side // model.side_multiple * unit,
        )

    def _refuse_size(self, size: tuple[int, int]) -> None:
        facts = self._opened.facts
        check_size(size, 2 * facts.factor)
        least, most = self._sides()
        if not (least <= min(size) and max(size) <= most):
            raise SceneRefused(
                f"{self._model.name} makes pictures with sides of {least} to {most} pixels, not "
                f"{size[0]}x{size[1]}: make a smaller one and scale it"
            )

    def _stepped(self, done: int, steps: int) -> None:
        self._on_part("denoise", done, steps)
        if self._cancelled.is_set():
            raise SceneError("cancelled between two steps; nothing was kept")

    def _loading(self, part: str, done: int, of: int) -> None:
        """Tell of a part; before a network is loaded, look whether the room is still there."""
        weights = (self._facts.weights or {}) if self._facts is not None else {}
        if not done and part in weights:
            there = self._available(self._device)
            needed = weights[part]
            needed += max(self._setup.resident_bytes, reserve_of(memory_of(self._device)))
            if there < needed:
                raise SceneRefused(
                    f"{part} of {self.name} is not loaded: {needed / 1e9:.1f} GB with what is left "
                    f"to the system, and {there / 1e9:.1f} GB is available now, less than when it "
                    "was planned; try again later"
                )
        self._on_part(part, done, of)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the libraries' failures into ours; the device is waited for either way."""
        import torch

        try:
            yield
            wait_for(self._device)
        except torch.OutOfMemoryError as error:
            give_back(self._device)
            plan = self.plan.words if self.plan else self.name
            raise SceneRefused(
                f"memory ran out while making {plan} although it was planned to fit: somebody "
                "else took memory meanwhile; try again, or a smaller size or precision"
            ) from error
        except RuntimeError as error:
            said = str(error).strip().splitlines()
            raise SceneUnavailable(
                f"{self.name} failed on {self._device}: "
                f"{said[0] if said else type(error).__name__}; try --device cpu or precision bf16"
            ) from error


def _available_bytes(device: Any) -> int:
    return read_available_bytes(memory_of(device))
