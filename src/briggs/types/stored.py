"""Stored completions: the lists and answers by which a record is read again.

https://platform.openai.com/docs/api-reference/chat/list
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from briggs.types.messages import ContentPart
from briggs.types.response import ChatCompletionRole, CreateChatCompletionResponse
from briggs.types.tools import ToolCall
from briggs.types.wire import Object


class ChatCompletionList(Object):
    """A page of stored completions."""

    object: Literal["list"]
    data: list[CreateChatCompletionResponse]
    first_id: str | None
    """The id of the first completion of the page; null where it has none."""
    last_id: str | None
    """The id of the last one, which the next page is asked `after`."""
    has_more: bool


class ChatCompletionDeleted(Object):
    """Says that a stored completion is no more."""

    object: Literal["chat.completion.deleted"]
    id: str
    deleted: bool


class ChatCompletionStoredMessage(Object):
    """A message of a stored completion's request."""

    id: str
    """The completion's id, a dash, and the message's place from 0."""
    role: ChatCompletionRole
    content: str | None = None
    content_parts: list[ContentPart] | UnsetType | None = UNSET
    """The parts of which the content consists; null where it was one text."""
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
    """What of a stored completion can be changed."""

    metadata: dict[str, str] | None
    """At most 16 pairs, keys up to 64 and values up to 512 characters."""
