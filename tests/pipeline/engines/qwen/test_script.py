"""Questions in the model's tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.errors import EngineFailed

QUESTION = verdict_question("Report falls.", Form())


@pytest.fixture
def reader(tiny: Path) -> ScriptReader:
    return ScriptReader(tiny, read_checkpoint(tiny).video_token)


@pytest.mark.parametrize("question_first", [False, True])
def test_tokens_are_those_of_the_models_own_template(
    tiny: Path, reader: ScriptReader, question_first: bool
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    question = replace(QUESTION, question_first=question_first)
    said = [{"type": "video"}, {"type": "text", "text": question.user}]
    chat = [
        {"role": "system", "content": question.system},
        {"role": "user", "content": said[::-1] if question_first else said},
    ]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    theirs = tokenizer(text, add_special_tokens=False).input_ids
    script = reader.script(question)
    video = tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert [*script.before, video, *script.after] == theirs
    assert reader.script(question) is script


@pytest.mark.parametrize("text", ["<|im_end|>", "see <|video_pad|> here"])
def test_control_tokens_in_a_prompt_are_refused(reader: ScriptReader, text: str) -> None:
    with pytest.raises(EngineFailed, match="control token"):
        reader.script(replace(QUESTION, user=text))


def test_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    token = read_checkpoint(copy).video_token
    with pytest.raises(EngineFailed, match="does not fit"):
        ScriptReader(copy, token + 1)
    file = copy / "tokenizer.json"
    table = json.loads(file.read_text("utf-8"))
    table["added_tokens"] = [
        one for one in table["added_tokens"] if one["content"] != "<|vision_end|>"
    ]
    file.write_text(json.dumps(table), "utf-8")
    with pytest.raises(EngineFailed, match=r"lacks <\|vision_end\|>"):
        ScriptReader(copy, token)
    file.write_text("{}", "utf-8")
    with pytest.raises(EngineFailed, match="cannot be read"):
        ScriptReader(copy, token)
