"""Translates a request to Converse's format.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import mimetypes
import re
from functools import partial
from typing import Any

from briggs.types import json, messages, tools
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonSchema
from briggs.types.messages import ContentPart
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.anthropic.request import can_say, nest_alternatives
from briggs.wires.anthropic.thinking import (
    Effort,
    continues,
    find_max_tokens,
    settle_thinking,
)
from briggs.wires.base import Encoded
from briggs.wires.bedrock.answer import FORMAT, find_reasoning_format, fit_name
from briggs.wires.blocks import Block, read_conversation
from briggs.wires.conversation import EMPTY
from briggs.wires.identifiers import fit_to
from briggs.wires.requests import (
    Mends,
    find_limit,
    find_names,
    given,
    list_stops,
    list_tools,
    name_calls,
    read_file,
    read_image,
    read_parameters,
    read_request,
    refuse,
)

_WORDS = frozenset(
    {
        *("messages", "model", "stream", "max_tokens", "max_completion_tokens"),
        *("top_p", "stop", "tools", "reasoning_effort"),
    }
)
_SERVICE_TIERS = ("default", "flex", "priority", "reserved")
# Converse's own members that a caller may send. Any other unknown member is for the model.
_MEMBERS = frozenset(
    {
        *("additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig"),
        *("promptVariables", "requestMetadata"),
    }
)

_fit_id = fit_to("a-zA-Z0-9_.:-", length_max=64)

_can_say = partial(can_say, words=_WORDS, service_tiers=_SERVICE_TIERS)


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `Converse`. Raises `InvalidRequest` for what it cannot express."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    if request.tool_choice == "none":
        # Converse has no such choice. We leave out the tools instead, unless the history
        # contains calls: those need their tools.
        if name_calls(request.messages):
            unsupported.append("tool_choice")
        else:
            request.tools = []
    mends = Mends()
    blocks = BedrockBlocks(model, mends)
    conversation = read_conversation(
        request,
        blocks,
        ids=_fit_id,
        names=fit_name,
        continues=continues(model),
        mends=mends,
    )
    _add_texts(conversation.turns, mends)
    effort = None
    if "claude" in model:
        effort = settle_thinking(
            request, model=model, turns=conversation.turns, unsupported=unsupported, mends=mends
        )
    unsupported += find_names(request.messages)
    body = given(
        messages=conversation.turns,
        system=conversation.system or None,
        inferenceConfig=_encode_sampling(request, effort, unsupported, mends) or None,
        toolConfig=_encode_tools(request, None if effort is None else mends),
        serviceTier={"type": request.service_tier} if request.service_tier else None,
        **_encode_output(request, effort),
    )
    own = {name: value for name, value in request.extra.items() if name in _MEMBERS}
    return Encoded(json.encode_plain(body | own), unsupported, mends, conversation.unsigned)


def _add_texts(turns: list[dict[str, Any]], mends: Mends) -> None:
    """Add a text to each turn with a document but no text: Converse would refuse it."""
    for turn in turns:
        content = turn["content"]
        if any("document" in block for block in content) and not any(
            "text" in block for block in content
        ):
            mends.note("messages", f"{EMPTY!r} is added to a document without text")
            content.append({"text": EMPTY})


def _encode_sampling(
    request: CreateChatCompletionRequest,
    effort: Effort | None,
    unsupported: list[str],
    mends: Mends,
) -> dict[str, Any]:
    is_claude = effort is not None
    # Claude refuses `temperature` and `topP` together, so its default of 1 is left out.
    default = 1 if is_claude else None
    # A thinking budget must be below the limit, and the model's default limit may be smaller.
    has_budget = effort is not None and effort.has_budget
    limit = find_max_tokens(request) if has_budget else find_limit(request)
    return given(
        maxTokens=limit,
        temperature=None if request.temperature == default else request.temperature,
        topP=None if request.top_p == default else request.top_p,
        stopSequences=list_stops(request, unsupported, mends, blank=not is_claude),
    )


def _encode_tools(
    request: CreateChatCompletionRequest, mends: Mends | None
) -> dict[str, Any] | None:
    """The `toolConfig`. `mends` are those of a schema for Claude; None for other models."""
    listed = list_tools(request)
    if not listed:
        return None
    encoded: list[dict[str, Any]] = []
    for path, tool in listed:
        encoded.append(_encode_tool(tool, path, mends))
        if isinstance(tool, tools.ChatCompletionTool) and "cache_control" in tool.extra:
            encoded.append(_encode_mark(tool.extra["cache_control"]))
    return given(tools=encoded, toolChoice=_encode_choice(request.tool_choice))


def _encode_tool(tool: tools.Tool, path: str, mends: Mends | None) -> dict[str, Any]:
    match tool:
        case tools.ChatCompletionTool(function=function):
            parameters = read_parameters(function, path=path)
            if mends is not None:
                parameters = nest_alternatives(parameters, path, mends)
            specification = given(
                name=function.name,
                description=function.description or None,
                inputSchema={"json": parameters},
                strict=function.strict or None,
            )
            return {"toolSpec": specification}
    raise refuse(path, "this provider accepts only functions.")


def _encode_choice(choice: Any) -> dict[str, Any] | None:
    match choice:
        case tools.ChatCompletionNamedToolChoice(function=function):
            return {"tool": {"name": function.name}}
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            return _encode_choice(allowed.mode)
        case "required":
            return {"any": {}}
        case "auto":
            return {"auto": {}}
        case str() if choice != "none":
            raise refuse("tool_choice", "it must be none, auto, required or a function.")
    return None


def _encode_output(request: CreateChatCompletionRequest, effort: Effort | None) -> dict[str, Any]:
    """How much to think, the format of the answer, and the members for the model itself."""
    fields = {name: value for name, value in request.extra.items() if name not in _MEMBERS}
    config: dict[str, Any] = {}
    if effort is not None:
        config |= effort.output_config
        fields = given(thinking=effort.thinking or None) | fields
    elif request.reasoning_effort:
        config = {"effort": request.reasoning_effort}
    if isinstance(request.response_format, ResponseFormatJsonSchema):
        config["textFormat"] = _encode_format(request.response_format)
    config |= _pop_object(fields, "outputConfig")
    fields |= _pop_object(fields, "additionalModelRequestFields")
    return given(outputConfig=config or None, additionalModelRequestFields=fields or None)


def _pop_object(members: dict[str, Any], name: str) -> dict[str, Any]:
    value = members.pop(name, {})
    return value if isinstance(value, dict) else {}


def _encode_format(response_format: ResponseFormatJsonSchema) -> dict[str, Any]:
    described = response_format.json_schema
    schema = json.encode_plain(described.schema or {"type": "object"}).decode()
    json_schema = given(
        schema=schema, name=described.name, description=described.description or None
    )
    return {"type": "json_schema", "structure": {"jsonSchema": json_schema}}


_NO_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_NAME_MAX = 200
_DOCUMENTS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}


class BedrockBlocks:
    """Writes the blocks of a request.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
    """

    format = FORMAT

    def __init__(self, model: str, mends: Mends) -> None:
        self.reasoning_format = find_reasoning_format(model)
        self._mends = mends
        self._document_names: set[str] = set()

    def part(self, part: ContentPart, path: str) -> list[Block]:
        match part:
            case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
                return [_encode_image(image.url, f"{path}.image_url.url")]
            case messages.ChatCompletionRequestMessageContentPartFile(file=file):
                return [self._encode_document(file, f"{path}.file")]
            case messages.ChatCompletionRequestMessageContentPartAudio(input_audio=audio):
                source = {"bytes": audio.data}
                return [{"audio": {"format": audio.format, "source": source}}]
            case messages.UnknownContentPart(members=members):
                # A block of Converse's own. The name of its only member is its type.
                return [{name: value for name, value in members.items() if name != "type"}]
        raise refuse(path, "this provider does not accept such a part.")

    def text(self, text: str) -> Block:
        return {"text": text}

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        return [block, _encode_mark(cache_control)]

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        return {"toolUse": {"toolUseId": id, "name": name, "input": input}}

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        status = "error" if failed else None
        if not content:
            self._mends.note("messages", f"an empty result is sent as {EMPTY!r}")
            content = [self.text(EMPTY)]
        return {"toolResult": given(toolUseId=id, content=content, status=status)}

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        match detail:
            case {"type": "reasoning.text", "text": str(text), "signature": str(signature)}:
                return {
                    "reasoningContent": {"reasoningText": {"text": text, "signature": signature}}
                }
            case {"type": "reasoning.encrypted", "data": str(data)}:
                return {"reasoningContent": {"redactedContent": data}}
        return None

    def _encode_document(self, file: messages.InputFile, path: str) -> Block:
        if file.file_id:
            raise refuse(f"{path}.file_id", "this provider does not store files: send file_data.")
        data = read_file(file, path=path)
        if data.media_type not in _DOCUMENTS:
            raise refuse(path, f"this provider does not accept {data.media_type}.")
        name = self._name_document(file.filename or "", path)
        source = {"bytes": data.base64}
        return {"document": {"format": _DOCUMENTS[data.media_type], "name": name, "source": source}}

    def _name_document(self, filename: str, path: str) -> str:
        """A name that Bedrock accepts, and that no other document of the request has."""
        stem = filename.rpartition(".")[0] or filename
        wanted = _NO_NAME.sub(" ", stem).strip()[:_NAME_MAX].rstrip() or "document"
        name, number = wanted, 1
        while name.lower() in self._document_names:
            number += 1
            name = f"{wanted[: _NAME_MAX - 10]} {number}"
        self._document_names.add(name.lower())
        if name != stem:
            self._mends.note(f"{path}.filename", "changed to a name that Bedrock accepts")
        return name


def _encode_mark(cache_control: Any) -> Block:
    ttl = cache_control.get("ttl") if isinstance(cache_control, dict) else None
    return {"cachePoint": given(type="default", ttl=ttl)}


def _encode_image(url: str, path: str) -> Block:
    data = read_image(url, path=path)
    if data is not None:
        kind = data.media_type.removeprefix("image/")
        source: dict[str, Any] = {"bytes": data.base64}
    elif url.startswith("s3://"):
        kind = (mimetypes.guess_type(url)[0] or "").removeprefix("image/")
        source = {"s3Location": {"uri": url}}
    else:
        raise refuse(path, "this provider does not fetch images: send a data: or s3:// URL.")
    return {"image": {"format": kind, "source": source}}
