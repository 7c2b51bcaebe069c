"""What is wrong with a checkpoint of any family is said calmly, with its cure, before it loads."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from edgewatch.pipeline.engines.answers import AnswerTokens
from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.engines.families.table import family_of
from edgewatch.pipeline.engines.memory_plan import GB, RESERVE_BYTES, Memory
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.engines.question import Form, Question, free_question
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers.general.checkpoint import read_general
from edgewatch.pipeline.engines.transformers.general.forms import make_form
from edgewatch.pipeline.engines.transformers.general.memory import needed_bytes, refuse_too_large
from edgewatch.pipeline.engines.transformers.general.network import GeneralNetwork, load_general
from edgewatch.pipeline.engines.transformers.general.scoring import GeneralScorer
from edgewatch.pipeline.engines.transformers.general.spoken import spoken_tokens
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.pipeline.engines.asked_clips import asked

Tiny = Callable[[str], Path]


@pytest.fixture
def copy(tiny_family: Tiny, tmp_path: Path) -> Path:
    """A LLaVA-NeXT to spoil."""
    return Path(shutil.copytree(tiny_family("llava_next"), tmp_path / "tiny-llava"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refusal(directory: Path, **more: Any) -> EngineFailed:
    """Return what a start says of a checkpoint."""

    async def start() -> None:
        model = create_model(
            EngineSetup(
                kind="transformers",
                model=directory,
                device="cpu",
                largest_clip=LargestClip(frames=2, pixels=3136),
                **more,
            )
        )
        try:
            await model.start()
        finally:
            await model.close()

    with pytest.raises(EngineFailed) as caught:
        asyncio.run(start())
    return caught.value


def test_unknown_architecture_lists_the_known(copy: Path) -> None:
    change(copy / "config.json", model_type="florence2")
    assert "Gemma 3 (gemma3)" in refusal(copy).cure


def test_family_without_a_class_names_the_engine_that_runs_it(copy: Path) -> None:
    change(copy / "config.json", model_type="internvl_chat")
    error = refusal(copy)
    assert "InternVL, first layout" in error.what
    assert "its sibling whose name ends in -hf runs in transformers" in error.what
    assert 'kind = "remote"' in error.cure


def test_broken_config_is_named(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    assert str(copy / "config.json") in refusal(copy).what


def test_missing_image_processor_is_named(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    error = refusal(copy)
    assert f"processor of {copy} cannot be used" in error.what
    assert "download the checkpoint again" in error.cure


def test_broken_tokenizer_is_named(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{}")
    error = refusal(copy)
    assert f"of {copy} cannot be used" in error.what
    assert "\n" not in str(error)


def test_missing_template_is_named(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert f"the chat template of {copy} cannot be used (there is none)" in str(refusal(copy))


def test_template_that_drops_the_question_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("<image>")
    assert "does not take a picture and a text" in refusal(copy).what


def test_missing_weights_are_counted_and_named(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    lost = next(name for name in weights if "q_proj.weight" in name and "language" in name)
    save_file(
        {name: weight for name, weight in weights.items() if name != lost},
        copy / "model.safetensors",
        metadata={"format": "pt"},
    )
    error = refusal(copy)
    assert "lacks 1 weights of this model" in error.what
    assert "q_proj.weight" in error.what


def test_answers_must_be_single_tokens(copy: Path) -> None:
    assert "Anomaly" in refusal(copy, form=Form(anomaly_answer="Anomaly")).what


def test_modelopts_weights_are_refused_with_another_way(copy: Path) -> None:
    (copy / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "NVFP4"}}')
    error = refusal(copy)
    assert "NVFP4 by modelopt" in error.what
    assert "bf16" in error.cure


def test_another_order_than_the_templates_is_refused(copy: Path) -> None:
    said = refusal(copy, form=Form(question_first=True))
    assert "question_first is only for Qwen2.5-VL" in said.what
    assert said.cure == "remove it"


def test_int8_on_a_cpu_is_refused(copy: Path) -> None:
    assert 'quantize = "int8"' in refusal(copy, quantize="int8").what


def test_prompt_with_a_control_token_is_refused(tiny_family: Tiny) -> None:
    form = make_form(read_general(tiny_family("llava_next")).source)
    with pytest.raises(EngineFailed, match="control token"):
        form.inputs(asked(1), Question("Look.", "A sign says <image> there.", ""))


def test_two_checkpoints_have_two_names(tiny_family: Tiny, copy: Path) -> None:
    before = read_general(copy).hash
    assert before == read_general(tiny_family("llava_next")).hash
    (copy / "chat_template.jinja").write_text("another")
    assert read_general(copy).hash != before


class TestMemory:
    def test_weights_are_counted_as_they_are_held(self) -> None:
        tensors = [
            Tensor("model.layers.0.mlp.up_proj.weight", "BF16", (100, 10), 2000),
            Tensor("lm_head.weight", "BF16", (50, 10), 1000),
            Tensor("model.layers.0.scale", "U8", (10,), 10),
        ]
        assert needed_bytes(tensors, quantize="none", weight_bytes=None) == 3010
        assert needed_bytes(tensors, quantize="none", weight_bytes=4) == 6010
        assert needed_bytes(tensors, quantize="int8", weight_bytes=None) == 2010

    def test_what_fits_passes_and_what_does_not_is_told_with_all_figures(self) -> None:
        """The clip's part is called an estimate: no family's sizes are known here."""
        weights, place = int(10 * GB), Path("/models/x")
        needed = weights + int(2 * GB) + RESERVE_BYTES
        refuse_too_large(place, weights, Memory(needed), unified=False)
        with pytest.raises(EngineFailed) as caught:
            refuse_too_large(place, weights, Memory(needed - 1, int(5 * GB)), unified=False)
        assert "needs about 13.5 GB (weights 10.0 GB, one clip 2.0 GB by estimate" in str(
            caught.value
        )
        assert "5.0 GB more are page cache" in caught.value.what

    def test_shared_memory_keeps_more_for_the_host(self) -> None:
        weights = int(10 * GB)
        enough = weights + int(2 * GB) + RESERVE_BYTES
        with pytest.raises(EngineFailed, match=r"reserve 12\.9 GB"):
            refuse_too_large(Path("/x"), weights, Memory(enough), unified=True)


class FakeNetwork:
    """A network whose forward raises, or gives what it is told."""

    device = torch.device("cpu")

    def __init__(self, logs: npt.NDArray[np.float64] | Exception) -> None:
        self._logs = logs

    def log_probabilities(
        self, inputs: Mapping[str, torch.Tensor], tokens: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        if isinstance(self._logs, Exception):
            raise self._logs
        return self._logs

    def write(
        self, inputs: Mapping[str, torch.Tensor], most_tokens: int, give_way: Callable[[], None]
    ) -> list[int]:
        if isinstance(self._logs, Exception):
            raise self._logs
        return list(range(most_tokens))


class FakeFamilyForm:
    """A form that needs no checkpoint."""

    def asked(self, question: Question, clip: AskedClip) -> Question:
        return question

    def inputs(self, clip: AskedClip, question: Question) -> dict[str, torch.Tensor]:
        return {"input_ids": torch.zeros(1, 3, dtype=torch.long)}

    def encode(self, text: str) -> list[int]:
        return [len(text)]

    def decode(self, tokens: object) -> str:
        return f"{tokens}"


def scorer(logs: npt.NDArray[np.float64] | Exception, *, scores: bool = True) -> GeneralScorer:
    tokens = AnswerTokens((1,), (2,)) if scores else None
    form = Form(words_tokens=3)
    return GeneralScorer(FakeNetwork(logs), family_of("llava"), FakeFamilyForm(), tokens, form)


class TestScoring:
    def test_score_is_the_anomalys_part_of_both_answers(self) -> None:
        [answer] = scorer(np.log([0.3, 0.1])).score([asked(1)])
        assert answer.score == pytest.approx(0.75)
        assert answer.uncertain, "both together hold 0.4"

    @pytest.mark.parametrize("logs", [[-np.inf, -np.inf], [np.nan, 0.0]])
    def test_answer_that_is_none_counts_as_not_judged(self, logs: list[float]) -> None:
        [answer] = scorer(np.array(logs)).score([asked(1)])
        assert np.isnan(answer.score)

    def test_family_that_only_describes_gives_no_score(self) -> None:
        describing = scorer(np.zeros(2), scores=False)
        assert np.isnan(describing.score([asked(1)])[0].score)
        assert describing.words(asked(1), lambda: None) == "[0, 1, 2]"

    def test_clip_that_does_not_fit_is_told_with_its_size(self) -> None:
        full = scorer(torch.OutOfMemoryError("out"))
        with pytest.raises(EngineFailed, match="4 frames of 112x112 does not fit"):
            full.score([asked(1)])
        with pytest.raises(EngineFailed, match="does not fit"):
            full.words(asked(1), lambda: None)

    def test_other_trouble_is_not_called_memory(self) -> None:
        with pytest.raises(RuntimeError, match="a kernel broke"):
            scorer(RuntimeError("a kernel broke")).score([asked(1)])


@pytest.fixture(scope="module")
def llava(tiny_family: Tiny) -> tuple[GeneralNetwork, Any]:
    checkpoint = read_general(tiny_family("llava"))
    network = load_general(checkpoint.directory, checkpoint.family, torch.device("cpu"))
    return network, make_form(checkpoint.source)


def test_description_is_given_up_between_tokens(llava: tuple[GeneralNetwork, Any]) -> None:
    network, form = llava
    calls: list[int] = []

    def give_way() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            raise EngineBusy("clips wait")

    inputs = form.inputs(asked(1), Question("Look.", "What is it?", ""))
    with pytest.raises(EngineBusy):
        network.write(inputs, 50, give_way)
    assert len(calls) == 3


def test_own_question_is_answered_in_place_of_what_is_wrong(
    llava: tuple[GeneralNetwork, Any],
) -> None:
    network, form = llava
    talking = GeneralScorer(
        network, family_of("llava"), form, AnswerTokens((1,), (2,)), Form(words_tokens=4)
    )
    clip = asked(1)
    still = AskedClip(clip.frames[:1].repeat(2, 0), 4.0, "", "How many cars are there?", still=True)
    inputs = form.inputs(still, free_question("How many cars are there?"))
    expected = form.decode(network.write(inputs, 4, lambda: None))
    assert talking.words(still, lambda: None) == expected


def test_sentencepiece_answers_are_found_with_and_without_a_space() -> None:
    """Such a tokenizer puts a space before every text: "Yes" alone is met within a text only."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"▁Yes": 0, "Yes": 1, "▁No": 2, "No": 3, "▁": 4, "\n": 5, "▁\n": 6, "?": 7}
    tokenizer = Tokenizer(
        models.Unigram([(piece, -1.0) for piece in vocabulary], unk_id=7, byte_fallback=False)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    assert encode("Yes") == [0]
    found = spoken_tokens(encode, Form())
    assert set(found.anomaly) == {0, 1}
    assert set(found.normal) == {2, 3}, "and not what stands for unknown words"
