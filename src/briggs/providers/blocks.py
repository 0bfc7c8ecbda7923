"""Messages as alternating turns of blocks, as Anthropic and Bedrock take them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from briggs.providers.requests import list_objects, read_arguments, refuse
from briggs.types import messages
from briggs.types.messages import ChatCompletionRequestMessage, ContentPart
from briggs.types.tools import ChatCompletionMessageToolCall, ToolCall

Block = dict[str, Any]


class Blocks(Protocol):
    """How a vendor writes blocks. All raise `InvalidRequest` for what there is no block for."""

    format: str
    """Marks those blocks of an answer that only this vendor can read."""
    reasoning_format: str
    """Marks what was thought, which only its thinker can check."""

    def part(self, part: ContentPart, path: str) -> list[Block]:
        """A part that is no text."""
        ...

    def text(self, text: str) -> Block:
        """A text."""
        ...

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        """A block, and that all up to it is worth caching."""
        ...

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        """A call that the model made."""
        ...

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        """What a tool returned."""
        ...

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        """What the model thought; None for what the vendor would refuse to be told again."""
        ...


class Conversation(NamedTuple):
    """The messages of a request, as blocks."""

    system: list[Block]
    turns: list[dict[str, Any]]


class _Turn:
    """All that one role says until the other one does."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Block] = []
        self.content: list[Block] = []

    def encode(self) -> dict[str, Any]:
        """The results of tools come first, since the turn before has asked for them."""
        return {"role": self.role, "content": self.results + self.content}


def encode_conversation(given: list[ChatCompletionRequestMessage], blocks: Blocks) -> Conversation:
    """The messages as turns that alternate, and all instructions in front of them."""
    system: list[Block] = []
    turns: list[_Turn] = []

    def turn_of(role: str) -> _Turn:
        if not turns or turns[-1].role != role:
            turns.append(_Turn(role))
        return turns[-1]

    for position, message in enumerate(given):
        path = f"messages[{position}]"
        match message:
            case messages.ChatCompletionRequestSystemMessage(content=content):
                system += _encode_content(content, path, blocks)
            case messages.ChatCompletionRequestDeveloperMessage(content=content):
                system += _encode_content(content, path, blocks)
            case messages.ChatCompletionRequestUserMessage(content=content):
                turn_of("user").content += _encode_content(content, path, blocks)
            case messages.ChatCompletionRequestToolMessage():
                turn_of("user").results.append(_encode_result(message, path, blocks))
            case messages.ChatCompletionRequestAssistantMessage():
                # An answer may have been empty; a turn must not be.
                if answer := _encode_answer(message, path, blocks):
                    turn_of("assistant").content += answer
            case _:
                raise refuse(path, "this provider knows no message of this role.")
    return Conversation(system, [turn.encode() for turn in turns])


def _encode_content(content: Any, path: str, blocks: Blocks) -> list[Block]:
    """A content's blocks; an empty text says nothing, and there is no block for it."""
    if isinstance(content, str):
        return [blocks.text(content)] if content else []
    encoded: list[Block] = []
    for position, part in enumerate(content or ()):
        match part:
            case messages.ChatCompletionRequestMessageContentPartText(text=text):
                made = [blocks.text(text)] if text else []
            case messages.ChatCompletionRequestMessageContentPartRefusal(refusal=text):
                made = [blocks.text(text)] if text else []
            case _:
                made = blocks.part(part, f"{path}.content[{position}]")
        if made and (control := _find_cache_control(part)):
            made[-1:] = blocks.mark(made[-1], control)
        encoded += made
    return encoded


def _find_cache_control(part: ContentPart) -> Any:
    """Where a prefix ends that is worth caching, in OpenAI's words or in Anthropic's."""
    if isinstance(part, messages.UnknownContentPart):
        return None
    if getattr(part, "prompt_cache_breakpoint", None):
        return {"type": "ephemeral"}
    return part.extra.get("cache_control")


def _encode_result(
    message: messages.ChatCompletionRequestToolMessage, path: str, blocks: Blocks
) -> Block:
    return blocks.tool_result(
        id=message.tool_call_id,
        content=_encode_content(message.content, path, blocks),
        failed=message.extra.get("is_error") is True,
    )


def _encode_answer(
    message: messages.ChatCompletionRequestAssistantMessage, path: str, blocks: Blocks
) -> list[Block]:
    for name in ("audio", "function_call"):
        if getattr(message, name):
            raise refuse(f"{path}.{name}", "this provider cannot be told of it.")
    content = _encode_content(message.content, path, blocks)
    if message.refusal:
        content.append(blocks.text(message.refusal))
    for position, call in enumerate(message.tool_calls or ()):
        content.append(_encode_call(call, f"{path}.tool_calls[{position}]", blocks))
    for index, block in sorted(_list_carried(message.extra, blocks), key=lambda found: found[0]):
        content.insert(min(index, len(content)), block)
    return content


def _encode_call(call: ToolCall, path: str, blocks: Blocks) -> Block:
    if not isinstance(call, ChatCompletionMessageToolCall):
        raise refuse(path, "this provider knows calls of functions only.")
    function = call.function
    arguments = read_arguments(function.arguments, path=f"{path}.function.arguments")
    return blocks.tool_use(id=call.id, name=function.name, input=arguments)


def _list_carried(extra: dict[str, Any], blocks: Blocks) -> Iterator[tuple[int, Block]]:
    """The blocks of an answer that OpenAI has no words for, each with the place it had."""
    for detail in list_objects(extra, "reasoning_details"):
        if detail.get("format") in (blocks.reasoning_format, None):
            block = blocks.reasoning(detail)
            if block is not None:
                yield _place(detail), block
    for carried in list_objects(extra, "content_blocks"):
        if carried.get("format") == blocks.format and isinstance(carried.get("block"), dict):
            yield _place(carried), carried["block"]


def _place(carried: dict[str, Any]) -> int:
    index = carried.get("index")
    return max(index, 0) if isinstance(index, int) else 0
