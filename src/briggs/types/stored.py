"""Stored completions: the lists and answers of the API that reads the record.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object
from briggs.types.messages import ContentPart
from briggs.types.response import ChatCompletionRole, CreateChatCompletionResponse
from briggs.types.tools import ToolCall


class ChatCompletionList(Object):
    """A page of stored completions."""

    object: Literal["list"]
    data: list[CreateChatCompletionResponse]
    first_id: str | None
    """The id of the first completion of the page. Null if the page is empty."""
    last_id: str | None
    """The id of the last completion. Pass it as `after` to get the next page."""
    has_more: bool


class ChatCompletionDeleted(Object):
    """Confirms that a stored completion was deleted."""

    object: Literal["chat.completion.deleted"]
    id: str
    deleted: bool


class ChatCompletionStoredMessage(Object):
    """A message of a stored completion's request."""

    id: str
    """The completion's id, a dash, and the message's position from 0."""
    role: ChatCompletionRole
    content: str | None = None
    content_parts: list[ContentPart] | UnsetType | None = UNSET
    """The parts of the content. Null if the content was a single text."""
    refusal: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | UnsetType | None = UNSET
    tool_call_id: str | UnsetType | None = UNSET
    function_call: dict[str, Any] | UnsetType | None = UNSET


class ChatCompletionMessageList(Object):
    """A page of the messages of a stored completion's request."""

    object: Literal["list"]
    data: list[ChatCompletionStoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class UpdateChatCompletionRequest(Object):
    """The changes to a stored completion."""

    metadata: dict[str, str] | None
    """At most 16 pairs. Keys have up to 64 characters, values up to 512."""
