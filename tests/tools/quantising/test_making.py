"""Quantising for real: a tiny model, ModelOpt on the CPU, every format; and what is refused."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if any(find_spec(one) is None for one in ("torch", "transformers", "modelopt")):
    pytest.skip("modelopt is missing: pip install -e '.[dev]'", allow_module_level=True)

import torch
from safetensors.torch import load_file, save_file

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import Settings
from edgewatch.daemon.exits import EX_CONFIG, EX_FAILED, EX_OK
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising.clips import ClipStore
from edgewatch.tools.quantising.formats import FORMATS
from edgewatch.tools.quantising.making import BOOK, Made, Order, make
from edgewatch.tools.quantising.modelopt import require_modelopt
from edgewatch.tools.quantising.scoring import Asking
from edgewatch.tools.quantising.steps import Silence, Steps
from edgewatch.tools.quantising.subject import Subject
from edgewatch.tools.quantising.verification import verified
from edgewatch.tools.quantize import main
from tests.fakes.clock import ManualClock
from tests.fakes.tiny_qwen import make_tiny_qwen, tiny_model

pytestmark = pytest.mark.timeout(240)
"""ModelOpt alone takes seconds to import, and many times that on a busy machine."""
ROOT = Path(__file__).parents[3]
UP = "model.layers.0.mlp.up_proj"
PLAN = replace(Settings().plan_for(None), prompt="An anomaly is fire or smoke.")
ASKING = Asking(Form(), LargestClip(4, 112 * 112, 4.0), "cpu", 4)
SMALL_CLIPS = """
[clips]
fps = 2.0
seconds = 2.0
stride_seconds = 2.0
pixels = 12544
"""


@dataclass
class Shown(Silence):
    """Keeps what was said; may end the run in the middle of a step."""

    ends_in: str = ""

    def __post_init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[str] = []
        self.subjects_at_reload = 0

    def begin(self, name: str, total: int | None) -> None:
        self.steps.append(name)
        if name == "loading the new checkpoint":
            self.subjects_at_reload = sum(type(one) is Subject for one in gc.get_objects())

    def advance(self, count: int) -> None:
        if self.steps[-1] == self.ends_in:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)


def noise(store: ClipStore, steps: Steps) -> str:
    random = np.random.default_rng(3)
    for _ in range(9):
        frames = random.integers(0, 256, (4, 112, 112, 3), np.uint8)
        store.add(AskedClip(frames, 4.0, PLAN.prompt))
    return "noise"


def order(original: Path, to: str, destination: Path, **changed: Any) -> Order:
    plain = Order(original, FORMATS[to], destination, PLAN, ASKING, 5, 4, 1.0, noise)
    return replace(plain, **changed)


def made(ordered: Order, shown: Shown | None = None) -> Made:
    return make(ordered, Steps(shown or Shown(), ManualClock()))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint twice as wide as the tests' usual one: groups of 128 fill a row."""
    torch.set_num_threads(1)
    directory = make_tiny_qwen(tmp_path_factory.mktemp("models") / "tiny")
    config = json.loads((directory / "config.json").read_text())
    config |= {"hidden_size": 128, "intermediate_size": 256}
    config["vision_config"]["out_hidden_size"] = 128
    config["rope_scaling"] = {"type": "default", "mrope_section": [4, 6, 6]}
    for file in directory.glob("*.safetensors*"):
        file.unlink()
    vocabulary = json.loads((directory / "vocab.json").read_text())
    answers = ([vocabulary["Yes"]], [vocabulary["No"]])
    tiny_model(config, answers, seed=0).save_pretrained(directory, max_shard_size="200KB")
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "chat_template.jinja").write_text("{{ messages }}")
    (directory / "LICENSE").write_text("as the original's")
    return directory


@pytest.fixture(scope="module")
def nvfp4(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(order(original, "nvfp4", tmp_path_factory.mktemp("made") / "tiny-NVFP4"))


@pytest.fixture
def spoilt(nvfp4: Made, tmp_path: Path) -> Path:
    """A copy of the sound checkpoint, to be damaged."""
    return Path(shutil.copytree(nvfp4.destination, tmp_path / "spoilt"))


class TestMaking:
    @pytest.mark.parametrize(
        "to",
        ["nvfp4", *(pytest.param(to, marks=pytest.mark.long) for to in FORMATS if to != "nvfp4")],
    )
    def test_a_checkpoint_of_each_format_is_made_verified_loaded_and_compared(
        self, to: str, original: Path, nvfp4: Made, tmp_path: Path
    ) -> None:
        shown = Shown()
        found = (
            nvfp4 if to == "nvfp4" else made(order(original, to, tmp_path / "small" / to), shown)
        )
        assert found.verified.format.name == to
        assert found.verified.matrices == 14
        assert found.verified.weights_bytes < (found.verified.original_bytes or 0) / 2
        assert len(found.drift.distances) == 4
        assert found.drift.mean is not None
        assert found.drift.mean < 0.25
        assert found.drift.simulated
        assert [one.name for one in found.destination.parent.iterdir()] == [found.destination.name]
        again = verified(found.destination, original)
        assert again == found.verified
        if shown.said:
            assert "needs" in shown.said[0]
            assert "GB on disk" in shown.said[0]

    def test_the_recipe_is_followed(self, original: Path, nvfp4: Made) -> None:
        directory = nvfp4.destination
        said = json.loads((directory / "hf_quant_config.json").read_text())["quantization"]
        assert (said["quant_algo"], said["group_size"]) == ("NVFP4", 16)
        assert said["kv_cache_quant_algo"] is None
        assert {"lm_head", "visual*"} <= set(said["exclude_modules"])
        config = json.loads((directory / "config.json").read_text())
        assert config["rope_scaling"] == {"type": "mrope", "mrope_section": [4, 6, 6]}
        assert config["torch_dtype"] == "bfloat16"
        assert config["vision_config"]["tokens_per_second"] == 2
        for name in (
            *("preprocessor_config.json", "chat_template.jinja", "generation_config.json"),
            *("tokenizer.json", "tokenizer_config.json", "LICENSE"),
        ):
            assert (directory / name).read_bytes() == (original / name).read_bytes()

    def test_it_says_how_it_was_made_and_what_it_lost(self, nvfp4: Made) -> None:
        told = json.loads((nvfp4.destination / BOOK).read_text())
        assert told["calibrated_on"] == "5 clips of noise"
        assert told["compared_on"] == "4 clips of noise"
        assert told["drift_mean"] == nvfp4.drift.mean
        assert "imitated" in told["simulated"]

    def test_one_that_drifts_too_far_is_refused_and_not_kept(
        self, original: Path, tmp_path: Path
    ) -> None:
        """Calibrated on a text, which takes the place of clips."""
        text = tmp_path / "articles.txt"
        text.write_text("A street in the morning. " * 200)
        shown = Shown()
        asked = order(
            original, "fp8", tmp_path / "small", text=text, samples=2, compared=1, most_drift=0.0
        )
        with pytest.raises(EngineFailed, match=r"fp8 checkpoint is refused: its scores drift by"):
            made(asked, shown)
        assert "calibrating on text" in shown.steps
        assert "calibrating on clips" not in shown.steps
        assert "scoring by the new checkpoint" in shown.steps
        assert shown.subjects_at_reload == 0  # a GPU has room for one of the two
        assert list(tmp_path.iterdir()) == [text]

    @pytest.mark.parametrize(
        "step", ["calibrating on clips", pytest.param("verifying", marks=pytest.mark.long)]
    )
    def test_an_interrupted_run_leaves_nothing(
        self, original: Path, tmp_path: Path, step: str
    ) -> None:
        with pytest.raises(KeyboardInterrupt):
            made(order(original, "fp8", tmp_path / "small"), Shown(ends_in=step))
        assert list(tmp_path.iterdir()) == []

    def test_what_is_no_original_is_refused_before_any_work(
        self, nvfp4: Made, spoilt: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(EngineFailed, match="is quantised already"):
            made(order(nvfp4.destination, "fp8", tmp_path / "small"))
        table = json.loads((spoilt / "config.json").read_text())
        (spoilt / "config.json").write_text(json.dumps(table | {"model_type": "llava"}))
        with pytest.raises(EngineFailed, match="of type 'llava'"):
            made(order(spoilt, "fp8", tmp_path / "small"))
        with pytest.raises(EngineFailed, match="no checkpoint"):
            made(order(tmp_path, "fp8", tmp_path / "small"))

    def test_no_footage_is_told(self, original: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no clip could be cut"):
            made(order(original, "fp8", tmp_path / "small", pour=lambda store, steps: "nothing"))

    def test_a_missing_package_names_the_extra(self) -> None:
        with pytest.raises(ConfigError, match=r"\(modelopt\): pip install 'edgewatch\[quantize\]'"):
            require_modelopt(lambda package: package != "modelopt")


Tensors = dict[str, Any]


def weights(change: Callable[[Tensors], object]) -> Callable[[Path], None]:
    """Return what rewrites a checkpoint's tensors."""

    def spoil(directory: Path) -> None:
        file = directory / "model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    return spoil


def table(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what rewrites a checkpoint's JSON file."""

    def spoil(directory: Path) -> None:
        held = json.loads((directory / name).read_text())
        change(held)
        (directory / name).write_text(json.dumps(held))

    return spoil


def cut(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def lengthen(directory: Path) -> None:
    with (directory / "model.safetensors").open("ab") as stream:
        stream.write(bytes(64))


def nan_block(tensors: Tensors) -> None:
    tensors[f"{UP}.weight_scale"].view(torch.uint8)[3, 1] = 0x7F


def quantised_like(name: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name] = torch.zeros_like(tensors[name], dtype=torch.uint8)

    return change


def scale_of_32(tensors: Tensors) -> None:
    tensors[f"{UP}.weight_scale"] = tensors[f"{UP}.weight_scale"][:, ::2].contiguous()


SPOILS: dict[str, tuple[Callable[[Path], None], str]] = {
    "scale NaN": (weights(nan_block), "weight_scale holds NaN or infinity"),
    "scale infinite": (
        weights(lambda held: held[f"{UP}.weight_scale_2"].fill_(float("inf"))),
        "weight_scale_2 holds NaN or infinity",
    ),
    "scale negative": (
        weights(lambda held: held[f"{UP}.input_scale"].neg_()),
        "input_scale holds a negative scale",
    ),
    "scales zero": (
        weights(lambda held: held[f"{UP}.weight_scale"].view(torch.uint8)[0].zero_()),
        "weight_scale holds 8 zeros among 2048",
    ),
    "file cut short": (cut, "is cut short"),
    "file missing": (lambda one: (one / "model.safetensors").unlink(), "lacks model.safetensors"),
    "scale missing": (
        weights(lambda held: held.pop(f"{UP}.input_scale")),
        "up_proj.input_scale is missing",
    ),
    "norm missing": (
        weights(lambda held: held.pop("model.norm.weight")),
        "model.norm.weight is missing",
    ),
    "vision tower quantised": (
        weights(quantised_like("visual.blocks.0.attn.qkv.weight")),
        "the vision tower is quantised",
    ),
    "lm_head quantised": (weights(quantised_like("lm_head.weight")), "lm_head is quantised"),
    "wrong shape": (
        weights(lambda held: held.update({f"{UP}.weight": held[f"{UP}.weight"][:-1].clone()})),
        r"up_proj.weight has the shape \[255, 64\], not \[256, 64\]",
    ),
    "wrong groups": (weights(scale_of_32), "groups of 32 weights, not of 16"),
    "wrong groups declared": (
        table("hf_quant_config.json", lambda held: held["quantization"].update(group_size=32)),
        "says groups of 32, not of 16",
    ),
    "bytes too many": (lengthen, "bytes, and its header tells of"),
    "a stray file": (
        lambda one: save_file({"x": torch.zeros(1)}, one / "model-00002.safetensors"),
        "model-00002.safetensors is named by no",
    ),
    "a stray tensor": (
        weights(lambda held: held.update({"model.extra.weight": torch.zeros(2).bfloat16()})),
        "model.extra.weight is no part of the original",
    ),
    "cache quantised": (
        table(
            "hf_quant_config.json",
            lambda held: held["quantization"].update(kv_cache_quant_algo="FP8"),
        ),
        "switches on a FP8 cache of keys and values",
    ),
    "cache scales": (
        weights(lambda held: held.update({f"{UP}.k_scale": torch.ones(1)})),
        "quantises the cache of keys and values",
    ),
    "preprocessor lost": (
        lambda one: (one / "preprocessor_config.json").unlink(),
        "preprocessor_config.json is missing",
    ),
    "chat template lost": (
        lambda one: (one / "chat_template.jinja").unlink(),
        "chat_template.jinja is missing, which the original has",
    ),
    "generation config changed": (
        table("generation_config.json", lambda held: held.update(do_sample=True)),
        "generation_config.json differs",
    ),
    "rope type": (
        table("config.json", lambda held: held["rope_scaling"].update(type="default")),
        'rope_scaling of type "default"',
    ),
    "dtype": (
        table("config.json", lambda held: held.update(torch_dtype="float32")),
        'torch_dtype "float32"',
    ),
    "sense of time lost": (
        table("config.json", lambda held: held["vision_config"].pop("tokens_per_second")),
        "lost vision_config.tokens_per_second",
    ),
    "nothing excluded": (
        table("hf_quant_config.json", lambda held: held["quantization"].update(exclude_modules=[])),
        "does not exclude lm_head; hf_quant_config.json does not exclude visual",
    ),
    "declaration lost": (
        lambda one: (one / "hf_quant_config.json").unlink(),
        "hf_quant_config.json is missing",
    ),
    "another format declared": (
        table("hf_quant_config.json", lambda held: held["quantization"].update(quant_algo="MXFP8")),
        "quant_algo 'MXFP8' is none",
    ),
    "vision tower changed": (
        weights(lambda held: held["visual.blocks.1.attn.qkv.weight"].mul_(2)),
        "the vision tower is not quantised and must be the original's",
    ),
    "weights NaN": (
        weights(lambda held: held["model.norm.weight"].fill_(float("nan"))),
        "model.norm.weight holds NaN",
    ),
    "weights of another model": (
        weights(lambda held: held[f"{UP}.weight"].copy_(held[f"{UP}.weight"].flip(0))),
        "up_proj.weight is not the original's: off by",
    ),
}


class TestRefusal:
    @pytest.mark.parametrize("name", SPOILS)
    def test_a_damaged_checkpoint_is_refused_with_the_reason(
        self, name: str, spoilt: Path, original: Path
    ) -> None:
        spoil, reason = SPOILS[name]
        spoil(spoilt)
        with pytest.raises(EngineFailed, match=reason) as refused:
            verified(spoilt, original)
        assert str(spoilt) in str(refused.value)
        assert "quantise the original again" in str(refused.value)

    @pytest.mark.parametrize(
        "name", ["scale NaN", "vision tower quantised", "wrong groups", "rope type"]
    )
    def test_the_original_is_not_needed_to_see_it(self, name: str, spoilt: Path) -> None:
        assert verified(spoilt).original_bytes is None
        spoil, reason = SPOILS[name]
        spoil(spoilt)
        with pytest.raises(EngineFailed, match=reason):
            verified(spoilt)

    def test_no_directory_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFailed, match="there is no directory"):
            verified(tmp_path / "nowhere")


class TestCommand:
    @pytest.fixture
    def config(self, tmp_path: Path) -> str:
        file = tmp_path / "edgewatch.toml"
        file.write_text(SMALL_CLIPS)
        return f"--config={file}"

    def test_it_makes_a_checkpoint_on_clips_and_verifies_it(
        self, original: Path, tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        usual = [str(original), config, "--device=cpu", "--json", "--compare=3"]
        clips = ["--clips", str(ROOT / "samples" / "walkway.mp4")]
        out = tmp_path / "out" / "small"
        command = [*usual, "--to=fp8", f"--out={out}", "--most-drift=1", "--samples=4", *clips]
        assert main(command) == EX_OK
        told = json.loads(capsys.readouterr().out)
        assert told["checkpoint"] == str(out)
        assert told["calibrated_on"] == "4 clips of 1 recording"
        assert told["compared_clips"] == 3
        assert main([*usual, f"--verify={out}", "--most-drift=1", *clips]) == EX_OK
        again = json.loads(capsys.readouterr().out)
        assert again["drift_mean"] == pytest.approx(told["drift_mean"], abs=0.05)
        assert main(command) == EX_CONFIG
        assert "is there already" in capsys.readouterr().err

    def test_without_the_original_a_checkpoint_is_verified_by_itself(
        self, nvfp4: Made, spoilt: Path, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        usual = [config, "--device=cpu", "--compare=1"]
        assert main([*usual, f"--verify={nvfp4.destination}"]) == EX_OK
        told = capsys.readouterr().out
        assert "is sound" in told
        assert "simulated: NVFP4 imitated" in told
        SPOILS["scale NaN"][0](spoilt)
        assert main([*usual, f"--verify={spoilt}"]) == EX_FAILED
        assert "is refused" in capsys.readouterr().err

    def test_a_recording_that_is_not_there_is_asked_wrongly(
        self, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "small"
        command = [str(original), "--to=fp8", f"--out={out}", "--clips", str(tmp_path / "none.mp4")]
        assert main(command) == EX_CONFIG
        assert "--clips" in capsys.readouterr().err
        assert not out.exists()

    @pytest.mark.parametrize(
        "command", [[], ["model"], ["--to=fp8"], ["--verify=x", "--to=fp8"], ["m", "--to=int2"]]
    )
    def test_contradictions_are_told_before_anything(self, command: list[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 2
