"""Other vendors' names for the counts of a usage, each with its place in the specification.

From the answers and the documentation of DeepSeek, Moonshot, Anthropic, Bedrock, Gemini,
DashScope, xAI, Perplexity, SGLang, Portkey, new-api, LiteLLM, LangChain and OpenAI's own
Responses API, 2026-11-29.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A member of a usage that the specification has under another name."""

    path: str
    """Its path in the usage, with a dot between an object and its member."""
    place: str
    """Its path in the specification."""
    is_beside: bool = False
    """Whether its vendor counts these tokens in addition to those of the prompt.

    Gateways use the same names both ways. So if there is a total, the total decides.
    """


_PROMPT, _COMPLETION, _TOTAL = "prompt_tokens", "completion_tokens", "total_tokens"
CACHED = "prompt_tokens_details.cached_tokens"
WRITTEN = "prompt_tokens_details.cache_write_tokens"
REASONING = "completion_tokens_details.reasoning_tokens"
_AUDIO_IN = "prompt_tokens_details.audio_tokens"
_AUDIO_OUT = "completion_tokens_details.audio_tokens"

WORDS: tuple[Word, ...] = (
    # Totals: Anthropic and Responses, Bedrock, AI SDK, Gemini, watsonx.
    Word("input_tokens", _PROMPT),
    Word("inputTokens", _PROMPT),
    Word("promptTokens", _PROMPT),
    Word("promptTokenCount", _PROMPT),
    Word("prompt_token_count", _PROMPT),
    Word("input_token_count", _PROMPT),
    Word("output_tokens", _COMPLETION),
    Word("outputTokens", _COMPLETION),
    Word("completionTokens", _COMPLETION),
    Word("candidatesTokenCount", _COMPLETION),
    Word("candidates_token_count", _COMPLETION),
    Word("generated_token_count", _COMPLETION),
    Word("totalTokens", _TOTAL),
    Word("totalTokenCount", _TOTAL),
    Word("total_token_count", _TOTAL),
    # Read from a cache. DeepSeek; Moonshot, Together; Anthropic; Bedrock; Gemini; xAI; others.
    Word("prompt_cache_hit_tokens", CACHED),
    Word("cached_tokens", CACHED),
    Word("cache_read_input_tokens", CACHED, is_beside=True),
    Word("cacheReadInputTokens", CACHED, is_beside=True),
    Word("cachedContentTokenCount", CACHED),
    Word("cached_content_token_count", CACHED),
    Word("cached_prompt_text_tokens", CACHED),
    Word("cached_prompt_tokens", CACHED),
    Word("prompt_cached_tokens", CACHED),
    Word("cached_input_tokens", CACHED),
    Word("cachedInputTokens", CACHED),
    Word("cache_read_tokens", CACHED),
    Word("num_cached_tokens", CACHED),
    Word("prompt_tokens_details.cache_read_input_tokens", CACHED),
    Word("prompt_tokens_details.cache_read_tokens", CACHED),
    Word("input_tokens_details.cached_tokens", CACHED),
    Word("input_tokens_details.cache_read_tokens", CACHED),
    Word("input_token_details.cache_read", CACHED),
    # Written to a cache. Anthropic; Bedrock; others; DashScope; LiteLLM; new-api; LangChain.
    Word("cache_creation_input_tokens", WRITTEN, is_beside=True),
    Word("cacheWriteInputTokens", WRITTEN, is_beside=True),
    Word("cache_write_input_tokens", WRITTEN, is_beside=True),
    Word("cache_creation_tokens", WRITTEN),
    Word("cache_write_tokens", WRITTEN),
    Word("prompt_tokens_details.cache_creation_input_tokens", WRITTEN),
    Word("prompt_tokens_details.cache_creation_tokens", WRITTEN),
    Word("prompt_tokens_details.cached_creation_tokens", WRITTEN),
    Word("input_tokens_details.cache_creation_input_tokens", WRITTEN),
    Word("input_tokens_details.cache_write_tokens", WRITTEN),
    Word("input_token_details.cache_creation", WRITTEN),
    # Reasoning. SGLang, Perplexity; Gemini, whose total includes it; Responses; LangChain.
    Word("reasoning_tokens", REASONING),
    Word("thinking_tokens", REASONING),
    Word("reasoningTokens", REASONING),
    Word("thoughtsTokenCount", REASONING),
    Word("thoughts_token_count", REASONING),
    Word("output_tokens_details.reasoning_tokens", REASONING),
    Word("output_tokens_details.thinking_tokens", REASONING),
    Word("output_token_details.reasoning", REASONING),
    # Audio. Responses; LangChain; others.
    Word("input_tokens_details.audio_tokens", _AUDIO_IN),
    Word("input_token_details.audio", _AUDIO_IN),
    Word("prompt_audio_tokens", _AUDIO_IN),
    Word("audio_input_tokens", _AUDIO_IN),
    Word("output_tokens_details.audio_tokens", _AUDIO_OUT),
    Word("output_token_details.audio", _AUDIO_OUT),
    Word("completion_audio_tokens", _AUDIO_OUT),
    Word("audio_output_tokens", _AUDIO_OUT),
)

HOUR_PATHS: tuple[str, ...] = (
    "cache_creation",
    "prompt_tokens_details.cache_creation",
    "prompt_tokens_details.cache_creation_token_details",
)
"""Paths of objects with `ephemeral_1h_input_tokens`: Anthropic, DashScope, LiteLLM."""


class Cost(NamedTuple):
    """A member of a usage with the cost of the call."""

    path: str
    unit_usd: float = 1.0
    """The unit, in US dollars."""


COSTS: tuple[Cost, ...] = (
    # OpenRouter, LiteLLM; Perplexity; DeepInfra; xAI, in ten-billionths of a dollar.
    Cost("cost"),
    Cost("cost.total_cost"),
    Cost("total_cost"),
    Cost("cost_usd"),
    Cost("estimated_cost"),
    Cost("cost_in_usd_ticks", 1e-10),
)
