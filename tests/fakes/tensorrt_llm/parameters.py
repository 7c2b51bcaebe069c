"""The library's parameters: unknown ones are refused, and so are values out of range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tests.fakes.tensorrt_llm.record import broken


class KvCacheConfig(BaseModel):
    """As the library's; a fraction outside 0..1 or an unknown field is a ValidationError."""

    model_config = ConfigDict(extra="forbid")

    enable_block_reuse: bool = True
    max_tokens: int | None = None
    max_attention_window: list[int] | None = None
    sink_token_length: int | None = None
    free_gpu_memory_fraction: float | None = Field(default=0.9, ge=0, le=1)
    host_cache_size: int | None = None
    max_gpu_total_bytes: int | None = 0
    enable_partial_reuse: bool = True
    tokens_per_block: int = 32
    dtype: str = "auto"


@dataclass(kw_only=True)
class GuidedDecodingParams:
    """At most one guide; there is no `choice`."""

    json: Any = None
    regex: str | None = None
    grammar: str | None = None
    json_object: bool = False
    structural_tag: str | None = None

    def __post_init__(self) -> None:
        guides = sum(map(bool, (self.json, self.regex, self.grammar, self.json_object)))
        guides += bool(self.structural_tag)
        if guides > 1:
            raise ValueError(f"Only one guide can be used for a request, but got {guides}.")


@dataclass(kw_only=True)
class SamplingParams:
    """As the library's, so far as anybody here may want it."""

    end_id: int | None = None
    pad_id: int | None = None
    max_tokens: int = 32
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    embedding_bias: Any = None
    guided_decoding: GuidedDecodingParams | None = None
    n: int = 1
    best_of: int | None = None
    use_beam_search: bool = False
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    temperature: float | None = None
    min_tokens: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    return_context_logits: bool = False
    return_generation_logits: bool = False
    detokenize: bool = True
    add_special_tokens: bool = True
    skip_special_tokens: bool = True

    def check(self) -> None:
        """Raise ContractBroken for what would make scores wrong or costly."""
        greedy = (self.temperature, self.top_k, self.top_p) == (None, None, None)
        if not (greedy or self.temperature == 0 or self.top_k == 1 or self.top_p == 0):
            raise broken("sampling: a score must not depend on chance")
        if self.embedding_bias is not None and self.logprobs:
            raise broken("embedding_bias moves the logprobs")
        if self.prompt_logprobs or self.return_context_logits:
            raise broken("context logits take half a gigabyte a clip")
