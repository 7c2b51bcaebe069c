"""The scene engine `tensorrt`: Flux and SDXL by ONNX, as TensorRT plans of this machine.

On `device = "cpu"` the same exports run on onnxruntime: slow, but the same picture, which is how
it is tested where there is no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusion import flux, sdxl
from edgewatch.pipeline.scenes.diffusion.facts import TEXT_PARTS, DiffusionFacts
from edgewatch.pipeline.scenes.diffusion.noise import check_size, flux_noise, sdxl_noise
from edgewatch.pipeline.scenes.diffusion.prompts import Prompts
from edgewatch.pipeline.scenes.diffusion.run import Array, Floats
from edgewatch.pipeline.scenes.engine import SceneImage
from edgewatch.pipeline.scenes.memory import (
    CONTEXT_BYTES,
    LAYOUTS,
    DeviceMemory,
    MemoryPlan,
    admit,
    fits,
    plan_memory,
    read_available_bytes,
    reserve_of,
)
from edgewatch.pipeline.scenes.models.licences import check_licence
from edgewatch.pipeline.scenes.setup import SceneSetup
from edgewatch.pipeline.scenes.tensorrt.device import Device, gpu_index
from edgewatch.pipeline.scenes.tensorrt.export_folder import ExportFolder
from edgewatch.pipeline.scenes.tensorrt.ort_runner import OrtRunner
from edgewatch.pipeline.scenes.tensorrt.plan_store import PlanStore
from edgewatch.pipeline.scenes.tensorrt.plans import COMPONENTS, ModelPlans
from edgewatch.pipeline.scenes.tensorrt.tensorrt_library import load_tensorrt
from edgewatch.pipeline.scenes.tensorrt.trt_runner import TrtRunner

OnPart = Callable[[str, int, int], None]
"""Told (part, done, of all): a part's load (0 of 1, 1 of 1), each step of denoising."""
_REAL_FACTOR = 8


class Runner(Protocol):
    """Runs the parts of one model; what is not loaded is loaded when it is run."""

    def load(self, part: str) -> None:
        """Load a part, unless it is."""

    def unload(self, part: str) -> None:
        """Give a part's memory back; idempotent."""

    def run(self, part: str, /, **arrays: Array) -> Mapping[str, Array]:
        """Run a part once."""

    def close(self) -> None:
        """Unload everything; idempotent."""


class TensorRTEngine:
    """Makes stills by plans. One caller, one thread.

    Parts are loaded when they are needed; which stay depends on the memory there is.
    """

    def __init__(
        self,
        setup: SceneSetup,
        *,
        available_bytes: Callable[[DeviceMemory | None], int] = read_available_bytes,
        on_part: OnPart | None = None,
    ) -> None:
        """Check names alone; nothing is loaded. Raises SceneRefused for an unknown model."""
        self._setup = setup
        self._model, self._precision = setup.chosen_model, setup.chosen_precision
        self._available = available_bytes
        self._on_part = on_part or (lambda _part, _done, _of: None)
        exports = setup.folder.onnx_dir(self._model, self._precision)
        self._exports = ExportFolder(exports, self._precision)
        self._facts: DiffusionFacts | None = None
        self._prompts: Prompts | None = None
        self._device: Device | None = None
        self._plans: ModelPlans | None = None
        self._runner: Runner | None = None
        self._size: tuple[int, int] | None = None
        self._said: tuple[str, flux.FluxText | sdxl.SdxlText] | None = None
        self._loaded: set[str] = set()
        self.plan: MemoryPlan | None = None
        """Of the last picture; None before the first."""

    @property
    def name(self) -> str:
        """Backend, model and precision."""
        return f"tensorrt:{self._model.name}:{self._precision}"

    def start(self) -> None:
        """Check licence, exports, library and GPU; load nothing large yet.

        Raises SceneRefused for the licence, SceneUnavailable for what is missing.
        """
        if self._facts is not None:
            return
        check_licence(self._model, self._setup)
        model_dir = self._setup.folder.model_dir(self._model)
        facts = self._exports.facts(model_dir, self._model.max_text_tokens)
        for part in facts.parts:
            if self._exports.part(part) is None:
                raise SceneUnavailable(
                    f"{part} of {self._model.name} in {self._precision} is not exported: "
                    f"edgewatch scenes build --model {self._model.name} "
                    f"--precision {self._precision}"
                )
        if self._setup.device != "cpu":
            tensorrt = load_tensorrt()
            self._device = Device(gpu_index(self._setup.device))
            self._plans = ModelPlans(
                self._model,
                self._precision,
                facts,
                self._exports,
                PlanStore(self._setup.folder.plans_dir()),
                self._device.machine(str(tensorrt.__version__)),
            )
        folder = self._exports.tokenizers(model_dir)
        self._prompts = Prompts(folder, facts.family, facts.text_length)
        self._facts = facts

    def generate(self, prompt: str, seed: int, size: tuple[int, int]) -> SceneImage:
        """Make one picture; see the protocol.

        Besides: raises SceneInvalid, naming the part, where a network gave NaN.
        """
        facts = self._opened
        self._refuse_size(facts, size)
        steps = self._setup.chosen_steps
        self._fit(facts, size)
        text = self._text(facts, prompt)
        latents = self._denoised(facts, text, seed, size, steps)
        if self._layout == "one_at_a_time":
            self._unload("transformer", "unetxl")
        if facts.family == "flux":
            pictures = flux.decode(self._run, latents, scale=facts.scale, shift=facts.shift)
        else:
            pictures = sdxl.decode(self._run, latents, scale=facts.scale)
        picture: SceneImage = pictures[0]
        if picture.shape != (size[1], size[0], 3):
            raise SceneInvalid(
                f"{self.name} made {picture.shape[1]}x{picture.shape[0]} of {size[0]}x{size[1]}: "
                "export the model again"
            )
        return picture

    def listen(self, on_part: OnPart) -> None:
        """Tell of parts and steps from now on; what it raises ends the picture."""
        self._on_part = on_part

    def close(self) -> None:
        """Give everything back; idempotent."""
        self._drop_runner()
        if self._device is not None:
            self._device.close()
        self._device = self._plans = self._prompts = self._facts = self._said = None

    @property
    def _opened(self) -> DiffusionFacts:
        if self._facts is None:
            raise SceneUnavailable(f"{self.name} has not been started")
        return self._facts

    @property
    def _layout(self) -> str:
        return "one_at_a_time" if self.plan is None else self.plan.layout

    def _refuse_size(self, facts: DiffusionFacts, size: tuple[int, int]) -> None:
        check_size(size, facts.multiple)
        low, high = self._model.least_side, self._model.most_side
        if facts.factor == _REAL_FACTOR and not all(low <= side <= high for side in size):
            raise SceneRefused(
                f"{self._model.name} makes pictures with sides of {low} to {high} pixels, not "
                f"{size[0]}x{size[1]}"
            )

    def _fit(self, facts: DiffusionFacts, size: tuple[int, int]) -> None:
        """Admit the memory for a size, and have a runner for it. Raises SceneRefused."""
        if self._size == size:
            return
        self._drop_runner()
        if self._plans is not None:
            # First that all plans are there: to learn it after a minute of loading is late.
            found = {part: self._plans.require(part, size).size_bytes for part in facts.parts}
        else:
            found = {part: self._export_bytes(part) for part in facts.parts}
        weights = {COMPONENTS[part]: taken for part, taken in found.items()}
        memory = None if self._device is None else self._device.memory()
        self.plan = self._admitted(size, weights, memory)
        self._runner = self._runner_for(facts, size)
        self._size = size

    def _admitted(
        self, size: tuple[int, int], weights: Mapping[str, int], memory: DeviceMemory | None
    ) -> MemoryPlan:
        """Return the fastest way for which there is room. Raises SceneRefused."""
        reserve, resident = reserve_of(memory), self._setup.resident_bytes
        available = self._available(memory)
        # Plans decode a picture in one piece, so the ways that decode in tiles are none here.
        ways = [
            plan_memory(
                self._model,
                self._precision,
                size,
                layout=layout,
                context_bytes=0 if memory is None else CONTEXT_BYTES,
                weights=weights,
            )
            for layout in LAYOUTS
        ]
        for way in ways:
            if fits(way, available, resident, reserve):
                return way
        admit(ways[-1], available, resident, reserve)
        return ways[-1]

    def _runner_for(self, facts: DiffusionFacts, size: tuple[int, int]) -> Runner:
        plans, device = self._plans, self._device
        if plans is not None and device is not None:
            return TrtRunner(lambda part: plans.verified(part, size), device)
        graphs = {part: self._exports.graph_of(part) for part in facts.parts}
        return OrtRunner({part: graph for part, graph in graphs.items() if graph is not None})

    def _export_bytes(self, part: str) -> int:
        exported = self._exports.part(part)
        return 0 if exported is None else exported.size_bytes

    def _text(self, facts: DiffusionFacts, prompt: str) -> flux.FluxText | sdxl.SdxlText:
        """Return the prompt encoded; the last one is kept, so that a series loads no encoder."""
        assert self._prompts is not None  # started
        if self._said is not None and self._said[0] == prompt:
            return self._said[1]
        first, second = self._prompts.ids(prompt)
        encode = flux.encode if facts.family == "flux" else sdxl.encode
        text = encode(self._run, first, second)
        if self._layout != "resident":
            self._unload(*TEXT_PARTS)
        self._said = prompt, text
        return text

    def _denoised(
        self,
        facts: DiffusionFacts,
        text: flux.FluxText | sdxl.SdxlText,
        seed: int,
        size: tuple[int, int],
        steps: int,
    ) -> Floats:
        channels, factor = facts.latent_channels, facts.factor
        if isinstance(text, flux.FluxText) and isinstance(facts.schedule, flux.FluxSchedule):
            return flux.denoise(
                self._run,
                flux_noise(seed, size, channels=channels, factor=factor),
                text,
                steps=steps,
                schedule=facts.schedule,
                guidance=self._model.guidance if facts.guided else None,
                on_step=lambda done, of: self._on_part("transformer", done, of),
            )
        assert isinstance(text, sdxl.SdxlText)  # of the same family
        assert isinstance(facts.schedule, sdxl.SdxlSchedule)
        guidance = self._model.guidance
        negative = None
        if guidance > 1 and not facts.zeros_for_no_prompt:
            negative = self._empty()
        return sdxl.denoise(
            self._run,
            sdxl_noise(seed, size, channels=channels, factor=factor),
            text,
            size=size,
            steps=steps,
            schedule=facts.schedule,
            guidance=guidance,
            negative=negative,
            on_step=lambda done, of: self._on_part("unetxl", done, of),
        )

    def _empty(self) -> sdxl.SdxlText:
        assert self._prompts is not None  # started
        return sdxl.encode(self._run, *self._prompts.ids(""))

    def _run(self, part: str, /, **arrays: Array) -> Mapping[str, Array]:
        assert self._runner is not None  # fitted
        if part not in self._loaded:
            self._on_part(part, 0, 1)
            self._runner.load(part)
            self._loaded.add(part)
            self._on_part(part, 1, 1)
        return self._runner.run(part, **arrays)

    def _unload(self, *parts: str) -> None:
        for part in parts:
            if self._runner is not None and part in self._loaded:
                self._runner.unload(part)
                self._loaded.discard(part)

    def _drop_runner(self) -> None:
        if self._runner is not None:
            self._runner.close()
        self._runner, self._size = None, None
        self._loaded.clear()
