"""Arranges messages as alternating turns of blocks, the format of Anthropic and Bedrock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from msgspec import UNSET

from briggs.types import messages
from briggs.types.messages import ContentPart
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.tools import ChatCompletionMessageToolCall, ToolCall
from briggs.wires.conversation import CONTINUE, EMPTY, Placed, arrange, declare_called
from briggs.wires.identifiers import Fit, rename_tools
from briggs.wires.requests import (
    Mends,
    list_objects,
    read_arguments,
    refuse,
    require_tools,
)
from briggs.wires.signatures import list_unsigned

Block = dict[str, Any]


class Blocks(Protocol):
    """Writes a vendor's blocks. Raises `InvalidRequest` for anything without a block."""

    format: str
    """Marks the blocks of an answer that only this vendor can read."""
    reasoning_format: str
    """Marks the model's reasoning, whose signature only this vendor can check."""

    def part(self, part: ContentPart, path: str) -> list[Block]:
        """The blocks for a part that is not text."""
        ...

    def text(self, text: str) -> Block:
        """The block for a text."""
        ...

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        """The block with a mark: all blocks up to this one should be cached."""
        ...

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        """The block for a call that the model made."""
        ...

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        """The block for the result of a call."""
        ...

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        """The block for the model's reasoning; None if the vendor would refuse it."""
        ...


class Conversation(NamedTuple):
    """The messages of a request as blocks."""

    system: list[Block]
    turns: list[dict[str, Any]]
    unsigned: list[str]
    """The caller's ids of tool calls without a signature."""


class _Turn:
    """Consecutive messages of one role."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[Block] = []
        self.content: list[Block] = []

    def encode(self) -> dict[str, Any]:
        """Encode the turn. Tool results come first, directly after the turn with their calls."""
        return {"role": self.role, "content": self.results + self.content}


def read_conversation(
    request: CreateChatCompletionRequest,
    blocks: Blocks,
    *,
    ids: Fit,
    names: Fit,
    continues: bool,
    mends: Mends,
) -> Conversation:
    """Read a request's messages as blocks, and fit its tools to the vendor's rules.

    `continues` says whether the model continues an answer that the request ends with.
    """
    require_tools(request)
    _limit_marks(request, mends)
    unsigned = list_unsigned(request.messages)
    renamed = rename_tools(request, names)
    placed = arrange(request.messages, ids=ids, names=renamed, mends=mends)
    declare_called(request, mends)
    system, turns = _encode_turns(placed, blocks, mends)
    if continues:
        _trim_end(turns, mends)
    elif _ends_with_text(turns):
        turns.append({"role": "user", "content": [blocks.text(CONTINUE)]})
        mends.note("messages", f"end with {CONTINUE!r}, since the user must speak last")
    return Conversation(system, turns, unsigned)


_MARKS_MAX = 4
"""How many places in a request may be marked for caching, at Anthropic and at Bedrock."""


def _limit_marks(request: CreateChatCompletionRequest, mends: Mends) -> None:
    """Keep the last marks for caching: each covers all that is before it."""
    marked = [one for one in _list_markable(request) if _find_mark(one)]
    for one in marked[:-_MARKS_MAX]:
        _read_extra(one).pop("cache_control", None)
        if getattr(one, "prompt_cache_breakpoint", None):
            one.prompt_cache_breakpoint = UNSET
    if len(marked) > _MARKS_MAX:
        mends.note("messages", f"only the last {_MARKS_MAX} marks for caching are kept")


def _list_markable(request: CreateChatCompletionRequest) -> Iterator[Any]:
    """What may have a mark, in the order of the prompt."""
    yield from request.tools or ()
    for message in request.messages:
        content = getattr(message, "content", None)
        yield from content if isinstance(content, list) else ()
        yield from getattr(message, "tool_calls", None) or ()
        yield message


def _read_extra(marked: Any) -> dict[str, Any]:
    """The members of a tool or a part that the specification does not know."""
    extra: dict[str, Any] = getattr(marked, "members", None) or getattr(marked, "extra", {})
    return extra


def _find_mark(one: Any) -> Any:
    return getattr(one, "prompt_cache_breakpoint", None) or _read_extra(one).get("cache_control")


_SPOKEN = frozenset({"text", "thinking", "redacted_thinking", "reasoningContent", "cachePoint"})


def _ends_with_text(turns: list[dict[str, Any]]) -> bool:
    """Whether the last turn is an answer. One that was paused in a search is continued."""
    content = turns[-1]["content"] if turns[-1]["role"] == "assistant" else []
    kinds = {block.get("type") or next(iter(block), "") for block in content}
    return bool(kinds) and kinds <= _SPOKEN


def _encode_turns(
    given: list[Placed], blocks: Blocks, mends: Mends
) -> tuple[list[Block], list[dict[str, Any]]]:
    """Split the messages into instructions and alternating turns.

    The first turn is the user's, and no turn is empty.
    """
    system: list[Block] = []
    turns: list[_Turn] = []

    def turn_of(role: str) -> _Turn:
        if not turns or turns[-1].role != role:
            turns.append(_Turn(role))
        return turns[-1]

    for path, message in given:
        match message:
            case messages.ChatCompletionRequestSystemMessage(content=content):
                system += _encode_content(content, path, blocks, mends)
            case messages.ChatCompletionRequestDeveloperMessage(content=content):
                system += _encode_content(content, path, blocks, mends)
            case messages.ChatCompletionRequestUserMessage(content=content):
                said = _encode_content(content, path, blocks, mends)
                turn_of("user").content += said or _say_empty(path, blocks, mends)
            case messages.ChatCompletionRequestToolMessage():
                turn_of("user").results += _encode_result(message, path, blocks, mends)
            case messages.ChatCompletionRequestAssistantMessage():
                # An answer may be empty, but a turn must not be.
                if answer := _encode_answer(message, path, blocks, mends):
                    turn_of("assistant").content += answer
            case _:
                raise refuse(path, "this provider does not accept messages of this role.")
    if not turns:
        turn_of("user").content = system or [blocks.text(EMPTY)]
        system = []
        mends.note("messages", "sent as the user's, since there are only instructions")
    elif turns[0].role == "assistant":
        turns.insert(0, _Turn("user"))
        turns[0].content = [blocks.text(EMPTY)]
        mends.note("messages", f"begin with {EMPTY!r}, since the user must speak first")
    return system, [turn.encode() for turn in turns]


def _say_empty(path: str, blocks: Blocks, mends: Mends) -> list[Block]:
    mends.note(f"{path}.content", f"sent as {EMPTY!r}, since it is empty")
    return [blocks.text(EMPTY)]


def _trim_end(turns: list[dict[str, Any]], mends: Mends) -> None:
    """Remove white space from the end of an answer that the model will continue."""
    content = turns[-1]["content"] if turns[-1]["role"] == "assistant" else []
    last: Block = next((block for block in reversed(content) if "cachePoint" not in block), {})
    text = last.get("text")
    if isinstance(text, str) and text != text.rstrip():
        last["text"] = text.rstrip()
        mends.note("messages", "sent without the white space at the end of the last answer")


def _encode_content(content: Any, path: str, blocks: Blocks, mends: Mends) -> list[Block]:
    """The blocks of a content. A blank text has none."""
    if isinstance(content, str):
        return _encode_text(content, f"{path}.content", blocks, mends)
    encoded: list[Block] = []
    for position, part in enumerate(content or ()):
        place = f"{path}.content[{position}]"
        match part:
            case messages.ChatCompletionRequestMessageContentPartText(text=text):
                made = _encode_text(text, place, blocks, mends)
            case messages.ChatCompletionRequestMessageContentPartRefusal(refusal=text):
                made = _encode_text(text, place, blocks, mends)
            case _:
                made = blocks.part(part, place)
        if made and (control := _find_cache_control(part)):
            made[-1:] = blocks.mark(made[-1], control)
        encoded += made
    return encoded


def _encode_text(text: str, path: str, blocks: Blocks, mends: Mends) -> list[Block]:
    if text.strip():
        return [blocks.text(text)]
    if text:
        mends.note(path, "left out, since it is blank")
    return []


def _find_cache_control(part: ContentPart) -> Any:
    """A part's cache mark, in OpenAI's format or Anthropic's, if it has one."""
    if isinstance(part, messages.UnknownContentPart):
        return None
    if getattr(part, "prompt_cache_breakpoint", None):
        return {"type": "ephemeral"}
    return part.extra.get("cache_control")


def _encode_result(
    message: messages.ChatCompletionRequestToolMessage, path: str, blocks: Blocks, mends: Mends
) -> list[Block]:
    result = blocks.tool_result(
        id=message.tool_call_id,
        content=_encode_content(message.content, path, blocks, mends),
        failed=message.extra.get("is_error") is True,
    )
    return _mark(result, message.extra, blocks)


def _mark(block: Block, extra: dict[str, Any], blocks: Blocks) -> list[Block]:
    """A block, with the mark that its message or its call has."""
    control = extra.get("cache_control")
    return blocks.mark(block, control) if control else [block]


def _encode_answer(
    message: messages.ChatCompletionRequestAssistantMessage,
    path: str,
    blocks: Blocks,
    mends: Mends,
) -> list[Block]:
    for name in ("audio", "function_call"):
        if getattr(message, name):
            raise refuse(f"{path}.{name}", "this provider does not accept it: leave it out.")
    content = _encode_content(message.content, path, blocks, mends)
    if message.refusal:
        content += _encode_text(message.refusal, f"{path}.refusal", blocks, mends)
    for position, call in enumerate(message.tool_calls or ()):
        content += _encode_call(call, f"{path}.tool_calls[{position}]", blocks)
    for index, block in sorted(_list_carried(message.extra, blocks), key=lambda found: found[0]):
        content.insert(min(index, len(content)), block)
    return content


def _encode_call(call: ToolCall, path: str, blocks: Blocks) -> list[Block]:
    if not isinstance(call, ChatCompletionMessageToolCall):
        raise refuse(path, "this provider accepts only calls of functions.")
    function = call.function
    arguments = read_arguments(function.arguments, path=f"{path}.function.arguments")
    use = blocks.tool_use(id=call.id, name=function.name, input=arguments)
    return _mark(use, call.extra, blocks)


def _list_carried(extra: dict[str, Any], blocks: Blocks) -> Iterator[tuple[int, Block]]:
    """The blocks of an answer that OpenAI's format lacks, each with its former place."""
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
