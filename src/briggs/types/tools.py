"""The tools that a model may call, the choice among them, and the calls.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object, Unknown


class FunctionObject(Object):
    """A function that the model may call."""

    name: str
    """1 to 64 characters: letters, digits, underscores and dashes."""
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    """A JSON Schema of the arguments. Absent if there are none."""
    strict: bool | UnsetType | None = UNSET
    """Whether the arguments must follow the schema exactly."""


class ChatCompletionTool(Object, tag_field="type", tag="function"):
    """A tool that is a function."""

    type: ClassVar[Literal["function"]] = "function"
    function: FunctionObject


class CustomToolGrammar(Object):
    """A grammar that the input of a custom tool must follow."""

    definition: str
    syntax: str
    """`lark` or `regex`."""


class CustomToolFormatText(Object, tag_field="type", tag="text"):
    """Any text as input."""

    type: ClassVar[Literal["text"]] = "text"


class CustomToolFormatGrammar(Object, tag_field="type", tag="grammar"):
    """Input that follows a grammar."""

    type: ClassVar[Literal["grammar"]] = "grammar"
    grammar: CustomToolGrammar


class UnknownToolFormat(Unknown, tag_field="type", tag=""):
    """A format of a type that is not in the specification."""


class CustomTool(Object):
    """A tool whose input is text, not JSON."""

    name: str
    description: str | UnsetType = UNSET
    format: CustomToolFormatText | CustomToolFormatGrammar | UnknownToolFormat | UnsetType = UNSET


class CustomToolChatCompletions(Object, tag_field="type", tag="custom"):
    """A tool whose input is text."""

    type: ClassVar[Literal["custom"]] = "custom"
    custom: CustomTool


class UnknownTool(Unknown, tag_field="type", tag=""):
    """A tool of a type that is not in the specification."""


Tool = ChatCompletionTool | CustomToolChatCompletions | UnknownTool


class ChatCompletionFunctions(Object):
    """An entry of the deprecated `functions`: a function that the model may call."""

    name: str
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class ToolName(Object):
    """The name of a function or of a custom tool."""

    name: str


class ChatCompletionFunctionCallOption(Object):
    """The one function that the model must call (deprecated)."""

    name: str


class ChatCompletionNamedToolChoice(Object, tag_field="type", tag="function"):
    """The one function that the model must call."""

    type: ClassVar[Literal["function"]] = "function"
    function: ToolName


class ChatCompletionNamedToolChoiceCustom(Object, tag_field="type", tag="custom"):
    """The one custom tool that the model must call."""

    type: ClassVar[Literal["custom"]] = "custom"
    custom: ToolName


class ChatCompletionAllowedTools(Object):
    """The tools of the request that the model may choose from."""

    mode: str
    """`auto`: the model may call one. `required`: it must."""
    tools: list[dict[str, Any]]
    """For example, `{"type": "function", "function": {"name": "get_weather"}}`."""


class ChatCompletionAllowedToolsChoice(Object, tag_field="type", tag="allowed_tools"):
    """A choice among some of the request's tools."""

    type: ClassVar[Literal["allowed_tools"]] = "allowed_tools"
    allowed_tools: ChatCompletionAllowedTools


class UnknownToolChoice(Unknown, tag_field="type", tag=""):
    """A choice of a type that is not in the specification."""


ChatCompletionToolChoiceOption = (
    str
    | ChatCompletionNamedToolChoice
    | ChatCompletionNamedToolChoiceCustom
    | ChatCompletionAllowedToolsChoice
    | UnknownToolChoice
)
"""`none`, `auto`, `required`, or a choice that names tools."""


class FunctionCall(Object):
    """The name of a called function and its arguments."""

    name: str
    arguments: str
    """JSON as the model wrote it. It may be invalid, or not follow the schema."""


class ChatCompletionMessageToolCall(Object, tag_field="type", tag="function"):
    """A call of a function."""

    type: ClassVar[Literal["function"]] = "function"
    id: str
    """The message with the result has this id as its `tool_call_id`."""
    function: FunctionCall


class CustomToolCall(Object):
    """The name of a called custom tool and its input."""

    name: str
    input: str


class ChatCompletionMessageCustomToolCall(Object, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    type: ClassVar[Literal["custom"]] = "custom"
    id: str
    """The message with the result has this id as its `tool_call_id`."""
    custom: CustomToolCall


class UnknownToolCall(Unknown, tag_field="type", tag=""):
    """A call of a type that is not in the specification."""


ToolCall = ChatCompletionMessageToolCall | ChatCompletionMessageCustomToolCall | UnknownToolCall


class FunctionCallChunk(Object):
    """A piece of a function's name and arguments."""

    name: str | UnsetType | None = UNSET
    arguments: str | UnsetType | None = UNSET
    """Joined with the arguments of the earlier pieces."""


class ChatCompletionMessageToolCallChunk(Object):
    """A piece of a tool call. The first piece of an index has its id and name."""

    index: int
    id: str | UnsetType | None = UNSET
    type: str | UnsetType | None = UNSET
    function: FunctionCallChunk | UnsetType = UNSET
