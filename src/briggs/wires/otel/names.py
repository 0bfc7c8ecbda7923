"""The names of one thing in the conventions for spans of model calls, as one table.

The newest name stands first. Read from: OpenTelemetry's GenAI conventions 1.27 to 1.41 and 0.1 of
their own repository; OpenLLMetry 0.20 to 0.62; OpenInference 0.1.66. They were read on 2026-11-29.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATION = ("gen_ai.operation.name", "llm.request.type")
SPAN_KIND = "openinference.span.kind"
SYSTEM = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
ASKED_MODEL = (
    *("gen_ai.request.model", "llm.request.model_name", "llm.request.model"),
    *("llm.model_name", "embedding.model_name", "gen_ai.response.model"),
)
ANSWERED_MODEL = ("gen_ai.response.model", "llm.response.model_name", "llm.response.model")
RESPONSE_ID = ("gen_ai.response.id", "llm.response.id")
FINGERPRINT = (
    *("openai.response.system_fingerprint", "gen_ai.openai.response.system_fingerprint"),
    "gen_ai.response.system_fingerprint",
)
FINISH_REASONS = (
    *("gen_ai.response.finish_reasons", "llm.response.finish_reason", "llm.finish_reason"),
    "llm.response.stop_reason",
)
ERROR_TYPE = ("error.type", "exception.type")
SESSION = (
    *("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"),
    *("traceloop.association.properties.thread_id", "langfuse.session.id"),
)
USER = (
    *("gen_ai.user", "llm.user", "enduser.id", "user.id"),
    "traceloop.association.properties.user_id",
)
TAGS = ("tag.tags", "langfuse.trace.tags", "traceloop.association.properties.tags")

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("gen_ai.request.temperature", "llm.request.temperature"),
    "top_p": ("gen_ai.request.top_p", "llm.top_p"),
    "top_k": ("gen_ai.request.top_k", "llm.top_k"),
    "max_tokens": ("gen_ai.request.max_tokens", "llm.request.max_tokens"),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", "llm.frequency_penalty"),
    "presence_penalty": ("gen_ai.request.presence_penalty", "llm.presence_penalty"),
    "stop": ("gen_ai.request.stop_sequences", "llm.chat.stop_sequences"),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
    "n": ("gen_ai.request.choice.count",),
    "service_tier": ("openai.request.service_tier", "gen_ai.openai.request.service_tier"),
    "reasoning_effort": ("gen_ai.request.reasoning_effort", "gen_ai.request.reasoning.level"),
    "stream": (
        *("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
        "gen_ai.request.is_stream",
    ),
}
"""Members of a request, with their names in spans."""

INPUT_TOKENS = (
    *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "llm.usage.prompt_tokens",
)
OUTPUT_TOKENS = (
    *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    *("llm.token_count.completion", "llm.usage.completion_tokens"),
)
CACHED_TOKENS = (
    *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE_TOKENS = (
    *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    *("gen_ai.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write"),
)
REASONING_TOKENS = (
    *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
    "llm.token_count.completion_details.reasoning",
)


def find(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of these attributes that is there. None if none is."""
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)
