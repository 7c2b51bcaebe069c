"""Tiny tokenizers of the kinds that families have, made offline: the answers are single tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

WORDS = ("Yes", "No", "yes", "no", "YES", "NO")
PHI_SPECIAL = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|endoftext10|>",
    "<|endoftext11|>",
)


def answer_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the single tokens of all spellings of yes, and of no."""
    sides = []
    for word in ("yes", "no"):
        spellings = [
            space + form for form in (word, word.title(), word.upper()) for space in ("", " ")
        ]
        ids = [tokenizer.encode(each, add_special_tokens=False) for each in spellings]
        sides.append([one[0] for one in ids if len(one) == 1])
    return sides[0], sides[1]


def _byte_pairs(first: Iterable[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges of a byte-level BPE that knows the answers as single tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {text: number for number, text in enumerate(first)}
    for sign in sorted(ByteLevel.alphabet()):
        vocabulary.setdefault(sign, len(vocabulary))
    merges = []
    for word in (*WORDS, *(f"Ġ{word}" for word in WORDS)):
        left = word[0]
        for sign in word[1:]:
            if left + sign not in vocabulary:
                merges.append((left, sign))
                vocabulary[left + sign] = len(vocabulary)
            left += sign
    return vocabulary, merges


def _pieces(first: Iterable[str]) -> list[tuple[str, float]]:
    """Return a unigram vocabulary of printable signs and the answers."""
    signs = [chr(code) for code in range(33, 127)]
    return [
        *((text, 0.0) for text in first),
        ("▁", -3.0),
        *((sign, -6.0) for sign in signs),
        *((f"▁{word}", -2.0) for word in WORDS),
    ]


def opt_tokenizer() -> Any:
    from transformers import GPT2Tokenizer

    vocabulary, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>"))
    return GPT2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token="</s>",
        bos_token="</s>",
        eos_token="</s>",
        pad_token="<pad>",
        add_bos_token=True,
    )


def t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    return T5Tokenizer(vocab=_pieces(("<pad>", "</s>", "<unk>")), extra_ids=0)


def xlm_tokenizer(places: list[tuple[str, float]]) -> Any:
    from transformers import XLMRobertaTokenizer

    pieces = _pieces(("<s>", "<pad>", "</s>", "<unk>"))
    return XLMRobertaTokenizer(vocab=[*pieces[:4], *places, *pieces[4:], ("<mask>", 0.0)])


def nougat_tokenizer() -> Any:
    from transformers import NougatTokenizer

    vocabulary, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>", "[START_REF]"))
    return NougatTokenizer(vocab=vocabulary, merges=merges)


def phi_tokenizer() -> Any:
    from transformers import GPT2Tokenizer

    vocabulary, merges = _byte_pairs(PHI_SPECIAL)
    return GPT2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(PHI_SPECIAL[1:]),
    )


def fuyu_tokenizer() -> Any:
    """Return a SentencePiece-like BPE with byte fallback, as Fuyu's: "<0x04>" begins an answer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary |= {f"<0x{code:02X}>": 3 + code for code in range(256)}
    merges: list[tuple[str, str]] = []
    for sign in ("▁", *sorted(set("".join(WORDS)))):
        vocabulary.setdefault(sign, len(vocabulary))
    for word in WORDS:
        left = word[0]
        for sign in word[1:]:
            if left + sign not in vocabulary:
                merges.append((left, sign))
                vocabulary[left + sign] = len(vocabulary)
            left += sign
    for word in WORDS:
        merges.append(("▁", word))
        vocabulary[f"▁{word}"] = len(vocabulary)
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True) for text in ("<unk>", "<s>", "</s>")]
    )
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False) for text in ("|SPEAKER|", "|NEWLINE|")]
        + [AddedToken(f"<0x0{code}>", normalized=False) for code in range(5)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
