"""Response formats: text, JSON, or JSON that follows a schema.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object, Unknown


class ResponseFormatText(Object, tag_field="type", tag="text"):
    """Any text."""

    type: ClassVar[Literal["text"]] = "text"


class ResponseFormatJsonObject(Object, tag_field="type", tag="json_object"):
    """A JSON object. The messages must ask for JSON too."""

    type: ClassVar[Literal["json_object"]] = "json_object"


class JsonSchemaFormat(Object):
    """A named JSON Schema."""

    name: str
    """1 to 64 characters: letters, digits, underscores and dashes."""
    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET
    """Whether the answer must follow the schema exactly."""


class ResponseFormatJsonSchema(Object, tag_field="type", tag="json_schema"):
    """JSON that follows a schema."""

    type: ClassVar[Literal["json_schema"]] = "json_schema"
    json_schema: JsonSchemaFormat


class UnknownResponseFormat(Unknown, tag_field="type", tag=""):
    """A format of a type that is not in the specification."""


ResponseFormat = (
    ResponseFormatText | ResponseFormatJsonObject | ResponseFormatJsonSchema | UnknownResponseFormat
)
