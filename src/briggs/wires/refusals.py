"""Finds out why a request was refused, from each vendor's codes and messages."""

from __future__ import annotations

import re
from typing import Literal

from briggs.types.errors import BriggsError, UpstreamRejected

RefusalKind = Literal["context_length", "content_filter"]

# Error codes and types that are clear by themselves.
_CODES: dict[str, RefusalKind] = {
    "context_length_exceeded": "context_length",  # OpenAI, Azure, Groq, Cerebras, Fireworks
    "context_window_exceeded": "context_length",
    "exceed_context_size_error": "context_length",  # llama.cpp
    "tokens_limit_reached": "context_length",  # Azure's model inference
    "content_filter": "content_filter",  # Azure
    "content_policy_violation": "content_filter",  # OpenAI
    "invalid_prompt": "content_filter",  # OpenAI, for prompts that reasoning models must not get
    "ResponsibleAIPolicyViolation": "content_filter",  # Azure
    "data_inspection_failed": "content_filter",  # DashScope
    "DataInspectionFailed": "content_filter",
}

# Most other vendors explain it only in the message.
_WORDS: dict[RefusalKind, re.Pattern[str]] = {
    "context_length": re.compile(
        r"context (length|window|size|limit)"  # OpenAI, vLLM, SGLang, llama.cpp, Ollama, Mistral
        r"|reduce the length of the messages"  # Groq
        r"|model token limit"  # Moonshot
        r"|prompt is too long"  # Anthropic
        r"|input is too long"  # Bedrock
        r"|exceeds the maximum number of tokens"  # Gemini
        r"|maximum prompt length"  # xAI
        r"|range of input length"  # DashScope
        r"|too many tokens: "  # Cohere; without the colon it is Bedrock's limit per minute
        r"|`?inputs`? tokens \+ `?max_new_tokens`?",  # Hugging Face
        re.IGNORECASE,
    ),
    "content_filter": re.compile(
        r"content[ _-]?(filter|management|moderation|policy)"  # Azure, Anthropic, OpenAI
        r"|(usage|safety) (guidelines|polic(y|ies))"  # xAI, OpenAI
        r"|flagged (as|by|for)"  # OpenRouter
        r"|content exists risk"  # DeepSeek
        r"|inappropriate content",  # DashScope
        re.IGNORECASE,
    ),
}


def find_cause(error: BriggsError) -> RefusalKind | None:
    """Why the upstream refused the request itself; None if unknown or for another reason."""
    if not isinstance(error, UpstreamRejected) or error.upstream_status == 429:
        return None
    for code in (error.code, error.type):
        if code in _CODES:
            return _CODES[code]
    if error.upstream_status in (401, 404):
        return None
    return next((cause for cause, words in _WORDS.items() if words.search(error.message)), None)
