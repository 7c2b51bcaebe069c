"""Tiny checkpoints of the families that are asked in a chat: real classes, real files, no network.

Their directories look like published ones: config.json, tokenizer.json, preprocessor_config.json,
processor_config.json, chat_template.jinja with the family's own template, safetensors. The weights
are drawn so that answers differ from clip to clip. They know nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.tiny_recipe import Ids, TinyFamily
from tests.fakes.tiny_recipes import TINY

WORDS = ("Yes", "No", "yes", "no", "YES", "NO")


def make_tiny(name: str, directory: Path, *, seed: int = 0) -> Path:
    """Write the checkpoint of a family, a key of `TINY`, and return its directory."""
    ids = write_files(name, directory)
    model = tiny_model(name, directory, ids, seed=seed)
    model.save_pretrained(directory)
    _write_json(directory / "config.json", TINY[name].config(ids))
    return directory


def write_files(name: str, directory: Path) -> dict[str, int]:
    """Write all of a checkpoint but its weights; return the ids of its special tokens."""
    family = TINY[name]
    directory.mkdir(parents=True, exist_ok=True)
    ids = _write_tokenizer(directory, family)
    _write_json(directory / "config.json", family.config(ids))
    _write_json(directory / "preprocessor_config.json", family.preprocessor)
    if family.video:
        _write_json(directory / "video_preprocessor_config.json", family.video)
    if family.processor:
        _write_json(directory / "processor_config.json", family.processor)
    if family.template_file.endswith(".jinja"):
        (directory / family.template_file).write_text(family.template, "utf-8")
    elif family.template:
        _write_json(directory / family.template_file, {"chat_template": family.template})
    return ids


def tiny_model(
    name: str, directory: Path, ids: Ids, *, seed: int = 0, tower: Mapping[str, Any] | None = None
) -> Any:
    """Return a family's model with weights drawn for answers that differ from clip to clip.

    `directory`: where its tokenizer was written. `tower`: another vision tower than the family's
    own, by its config, where the own one needs a package that is not there.
    """
    import torch
    import transformers

    family = TINY[name]
    kind = getattr(transformers, family.model_class)
    settings = kind.config_class(**json.loads(json.dumps(family.config(ids))))
    if tower is not None:
        # Past the class's own check, which takes a config of its own kind alone.
        vars(settings)["vision_config"] = transformers.AutoConfig.for_model(**tower)
    model = kind(settings).float().eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part, weight in model.named_parameters():
            if weight.numel() == 1:
                weight.fill_(1.0)  # a gate, closed at first: what it lets through must count
            elif weight.ndim > 1:
                deviation = 1.0 if "embed_tokens" in part else 1 / math.sqrt(weight[0].numel())
                weight.copy_(torch.randn(weight.shape, generator=random) * deviation)
        head = model.get_output_embeddings().weight
        head[list(ids.values())] = 0.0  # no text ends before it begins
        direction = torch.randn(head.shape[1], generator=random)
        for tokens, sign in zip(_answer_tokens(directory), (1.0, -1.0), strict=True):
            head[tokens] = sign * direction * 0.3
    model.generation_config.eos_token_id = ids[family.roles["eos_token"]]
    return model


def _answer_tokens(directory: Path) -> tuple[list[int], list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    sides = []
    for word in ("yes", "no"):
        forms = (word, word.title(), word.upper())
        texts = [space + form for form in forms for space in ("", " ")]
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        sides.append([one[0] for one in ids if len(one) == 1])
    return sides[0], sides[1]


def _write_tokenizer(directory: Path, family: TinyFamily) -> dict[str, int]:
    """Write a byte-level BPE tokenizer that begins texts as the family's; return special ids."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {sign: index for index, sign in enumerate(sorted(ByteLevel.alphabet()))}
    merges: list[tuple[str, str]] = []
    for word in (*WORDS, *(f"Ġ{word}" for word in WORDS)):
        left = word[0]
        for sign in word[1:]:
            if left + sign not in vocabulary:
                merges.append((left, sign))
                vocabulary[left + sign] = len(vocabulary)
            left += sign
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in family.specials])
    ids = {text: tokenizer.token_to_id(text) for text in family.specials}
    if first := family.roles.get("bos_token"):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, ids[first])]
        )
    tokenizer.save(str(directory / "tokenizer.json"))
    plain = ("bos_token", "eos_token", "pad_token")
    _write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 32768,
            **{role: text for role, text in family.roles.items() if role in plain},
            "extra_special_tokens": {
                role: text for role, text in family.roles.items() if role not in plain
            },
        },
    )
    return ids


def _write_json(file: Path, table: Any) -> None:
    file.write_text(json.dumps(table, indent=2) + "\n", "utf-8")
