"""The chat completion request.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import UNSET, UnsetType

from briggs.types.formats import ResponseFormat
from briggs.types.json import Object
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


class ReasoningEffort(StrEnum):
    """How much a model reasons before it answers. Providers may have other values."""

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
    """A custom voice."""

    id: str


class ChatCompletionAudioParam(Object):
    """The voice and the format of an audio answer."""

    voice: str | VoiceId
    format: str
    """`wav`, `aac`, `mp3`, `flac`, `opus` or `pcm16`."""


class PredictionContent(Object):
    """Text that the answer will mostly repeat, such as a file that is being edited."""

    type: str
    """Always `content`."""
    content: str | list[ChatCompletionRequestMessageContentPartText | UnknownContentPart]


class ChatCompletionStreamOptions(Object):
    """Options of a stream."""

    include_usage: bool | UnsetType = UNSET
    """Whether to add a last chunk with the usage and without choices."""
    include_obfuscation: bool | UnsetType = UNSET
    """Whether to add random padding, which hides the lengths of the chunks. On by default."""


class PromptCacheOptions(Object):
    """How the provider should cache the prompt."""

    mode: str | UnsetType = UNSET
    """`implicit`, or `explicit` with `prompt_cache_breakpoint`."""
    ttl: str | UnsetType = UNSET
    """How long to keep the prompt, such as `30m`."""


class ModerationParam(Object):
    """The model that moderates the input and the output."""

    model: str
    policy: dict[str, Any] | UnsetType = UNSET


class WebSearchLocation(Object):
    """The user's approximate location."""

    country: str | UnsetType = UNSET
    """Two letters, ISO 3166-1."""
    region: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    """IANA name, such as `Europe/Oslo`."""


class WebSearchUserLocation(Object):
    """The user's location."""

    type: str
    """Always `approximate`."""
    approximate: WebSearchLocation


class WebSearchOptions(Object):
    """Options for a model that searches the web."""

    user_location: WebSearchUserLocation | UnsetType | None = UNSET
    search_context_size: str | UnsetType = UNSET
    """`low`, `medium` or `high`."""


class CreateChatCompletionRequest(Object):
    """A request for a chat completion.

    Other members that a provider accepts go into `extra`. Ranges are not checked here, because
    they depend on the provider.
    """

    messages: list[ChatCompletionRequestMessage]
    model: str
    """For Briggs: `provider/model`, or a name from `briggs.toml`."""
    audio: ChatCompletionAudioParam | UnsetType | None = UNSET
    """Requires `audio` in `modalities`."""
    frequency_penalty: int | float | UnsetType | None = UNSET
    """-2 to 2. Above 0, words are repeated less."""
    function_call: str | ChatCompletionFunctionCallOption | UnsetType = UNSET
    """Deprecated: use `tool_choice`."""
    functions: list[ChatCompletionFunctions] | UnsetType = UNSET
    """Deprecated: use `tools`."""
    logit_bias: dict[str, int | float] | UnsetType | None = UNSET
    """Token ids, each with a bias from -100 (never) to 100 (always)."""
    logprobs: bool | UnsetType | None = UNSET
    """Whether to return the log probability of each token."""
    max_completion_tokens: int | UnsetType | None = UNSET
    """The maximum number of tokens to write, including reasoning."""
    max_tokens: int | UnsetType | None = UNSET
    """Deprecated: use `max_completion_tokens`."""
    metadata: dict[str, str] | UnsetType | None = UNSET
    """At most 16 pairs. Keys have up to 64 characters, values up to 512."""
    modalities: list[str] | UnsetType | None = UNSET
    """`text`, `audio` or both."""
    moderation: ModerationParam | UnsetType | None = UNSET
    n: int | UnsetType | None = UNSET
    """The number of choices, 1 to 128. The default is 1."""
    parallel_tool_calls: bool | UnsetType = UNSET
    prediction: PredictionContent | UnsetType | None = UNSET
    presence_penalty: int | float | UnsetType | None = UNSET
    """-2 to 2. Above 0, new topics are more likely."""
    prompt_cache_key: str | UnsetType | None = UNSET
    """Groups requests with similar prompts for the provider's cache."""
    prompt_cache_options: PromptCacheOptions | UnsetType = UNSET
    prompt_cache_retention: str | UnsetType | None = UNSET
    """Deprecated: `in_memory` or `24h`."""
    reasoning_effort: str | UnsetType | None = UNSET
    """One of `ReasoningEffort`, or a provider's own."""
    response_format: ResponseFormat | UnsetType = UNSET
    safety_identifier: str | UnsetType | None = UNSET
    """An identifier of the end user that does not reveal who it is."""
    seed: int | UnsetType | None = UNSET
    """64 bits. The same seed and request should give the same answer."""
    service_tier: str | UnsetType | None = UNSET
    """One of `ServiceTier`, or a provider's own."""
    stop: str | list[str] | UnsetType | None = UNSET
    """Up to 4 texts that end the answer. The answer does not include them."""
    store: bool | UnsetType | None = UNSET
    """Whether the provider should keep the completion. Briggs always does."""
    stream: bool | UnsetType | None = UNSET
    stream_options: ChatCompletionStreamOptions | UnsetType | None = UNSET
    temperature: int | float | UnsetType | None = UNSET
    """0 to 2: how freely to choose among the likely tokens. The default is 1."""
    tool_choice: ChatCompletionToolChoiceOption | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    top_logprobs: int | UnsetType | None = UNSET
    """0 to 20: the number of alternatives for each token. Requires `logprobs`."""
    top_p: int | float | UnsetType | None = UNSET
    """0 to 1: choose among the likeliest tokens that together have this probability."""
    user: str | UnsetType = UNSET
    """Deprecated: use `safety_identifier` and `prompt_cache_key`."""
    verbosity: str | UnsetType | None = UNSET
    """One of `Verbosity`."""
    web_search_options: WebSearchOptions | UnsetType = UNSET
