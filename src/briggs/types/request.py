"""The chat completion request: what a model is asked, and how it should answer.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import UNSET, UnsetType

from briggs.types.formats import ResponseFormat
from briggs.types.messages import (
    ChatCompletionRequestMessage,
    ChatCompletionRequestMessageContentPartText,
    UnknownContentPart,
)
from briggs.types.tools import (
    ChatCompletionFunctionCallOption,
    ChatCompletionFunctions,
    ChatCompletionToolChoiceOption,
    Tool,
)
from briggs.types.wire import Object


class ReasoningEffort(StrEnum):
    """How much a model reasons before it answers; providers know more of them."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Verbosity(StrEnum):
    """How long an answer should be."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class VoiceId(Object):
    """A voice of one's own."""

    id: str


class ChatCompletionAudioParam(Object):
    """How the answer should sound."""

    voice: str | VoiceId
    format: str
    """`wav`, `aac`, `mp3`, `flac`, `opus` or `pcm16`."""


class PredictionContent(Object):
    """Text that much of the answer will repeat, such as a file that is being edited."""

    type: str
    """Always `content`."""
    content: str | list[ChatCompletionRequestMessageContentPartText | UnknownContentPart]


class ChatCompletionStreamOptions(Object):
    """What a stream should hold beside the answer."""

    include_usage: bool | UnsetType = UNSET
    """One more chunk before the end, with the usage and without choices."""
    include_obfuscation: bool | UnsetType = UNSET
    """Random padding, so that the lengths of the chunks do not betray the text; on by default."""


class PromptCacheOptions(Object):
    """How the provider should cache the prompt."""

    mode: str | UnsetType = UNSET
    """`implicit` or `explicit`, which is by `prompt_cache_breakpoint`."""
    ttl: str | UnsetType = UNSET
    """How long it is kept, such as `30m`."""


class ModerationParam(Object):
    """Which model should moderate the input and the output."""

    model: str
    policy: dict[str, Any] | UnsetType = UNSET


class WebSearchLocation(Object):
    """Roughly where the user is."""

    country: str | UnsetType = UNSET
    """Two letters, ISO 3166-1."""
    region: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    """IANA name, such as `Europe/Oslo`."""


class WebSearchUserLocation(Object):
    """Where the user is."""

    type: str
    """Always `approximate`."""
    approximate: WebSearchLocation


class WebSearchOptions(Object):
    """How a model that searches the web should do so."""

    user_location: WebSearchUserLocation | UnsetType | None = UNSET
    search_context_size: str | UnsetType = UNSET
    """`low`, `medium` or `high`."""


class CreateChatCompletionRequest(Object):
    """What a model is asked.

    Whatever else a provider understands goes into `extra`. Values are not checked against
    their ranges here: that is the provider's to say.
    """

    messages: list[ChatCompletionRequestMessage]
    model: str
    """At Briggs: `provider/model`, or a name from its file."""
    audio: ChatCompletionAudioParam | UnsetType | None = UNSET
    """Needs `audio` among the modalities."""
    frequency_penalty: int | float | UnsetType | None = UNSET
    """-2 to 2: above 0 makes it less likely that words are repeated."""
    function_call: str | ChatCompletionFunctionCallOption | UnsetType = UNSET
    """Deprecated for `tool_choice`."""
    functions: list[ChatCompletionFunctions] | UnsetType = UNSET
    """Deprecated for `tools`."""
    logit_bias: dict[str, int | float] | UnsetType | None = UNSET
    """Token ids to -100 (never) to 100 (always)."""
    logprobs: bool | UnsetType | None = UNSET
    """Whether to return the log probability of each token."""
    max_completion_tokens: int | UnsetType | None = UNSET
    """The most tokens to write, reasoning included."""
    max_tokens: int | UnsetType | None = UNSET
    """Deprecated for `max_completion_tokens`."""
    metadata: dict[str, str] | UnsetType | None = UNSET
    """At most 16 pairs, keys up to 64 and values up to 512 characters."""
    modalities: list[str] | UnsetType | None = UNSET
    """`text`, `audio` or both."""
    moderation: ModerationParam | UnsetType | None = UNSET
    n: int | UnsetType | None = UNSET
    """How many choices to answer with, 1 to 128; 1 by default."""
    parallel_tool_calls: bool | UnsetType = UNSET
    prediction: PredictionContent | UnsetType | None = UNSET
    presence_penalty: int | float | UnsetType | None = UNSET
    """-2 to 2: above 0 makes new topics more likely."""
    prompt_cache_key: str | UnsetType | None = UNSET
    """Groups requests with similar prompts for the provider's cache."""
    prompt_cache_options: PromptCacheOptions | UnsetType = UNSET
    prompt_cache_retention: str | UnsetType | None = UNSET
    """Deprecated: `in_memory` or `24h`."""
    reasoning_effort: str | UnsetType | None = UNSET
    """One of `ReasoningEffort`, or a provider's own."""
    response_format: ResponseFormat | UnsetType = UNSET
    safety_identifier: str | UnsetType | None = UNSET
    """Stands for the end user, without saying who it is."""
    seed: int | UnsetType | None = UNSET
    """Of 64 bits: the same seed and request should give the same answer."""
    service_tier: str | UnsetType | None = UNSET
    """One of `ServiceTier`, or a provider's own."""
    stop: str | list[str] | UnsetType | None = UNSET
    """Up to 4 texts that end the answer, which will not contain them."""
    store: bool | UnsetType | None = UNSET
    """Whether the provider should keep the completion; Briggs always does."""
    stream: bool | UnsetType | None = UNSET
    stream_options: ChatCompletionStreamOptions | UnsetType | None = UNSET
    temperature: int | float | UnsetType | None = UNSET
    """0 to 2: how freely to choose among the likely tokens; 1 by default."""
    tool_choice: ChatCompletionToolChoiceOption | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    top_logprobs: int | UnsetType | None = UNSET
    """0 to 20 alternatives for each token; needs `logprobs`."""
    top_p: int | float | UnsetType | None = UNSET
    """0 to 1: choose among the likeliest tokens that make up this probability."""
    user: str | UnsetType = UNSET
    """Deprecated for `safety_identifier` and `prompt_cache_key`."""
    verbosity: str | UnsetType | None = UNSET
    """One of `Verbosity`."""
    web_search_options: WebSearchOptions | UnsetType = UNSET
