"""A request in Converse's words.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import mimetypes
import re
from functools import partial
from typing import Any

from briggs.providers.anthropic_request import MAX_TOKENS, can_say, encode_effort
from briggs.providers.base import Encoded
from briggs.providers.bedrock_answer import FORMAT, find_reasoning_format
from briggs.providers.blocks import Block, encode_conversation
from briggs.providers.requests import (
    find_limit,
    find_names,
    given,
    list_stops,
    list_tools,
    name_calls,
    read_data_url,
    read_file,
    read_request,
    refuse,
)
from briggs.types import messages, tools, wire
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonSchema
from briggs.types.messages import ContentPart
from briggs.types.request import CreateChatCompletionRequest

_WORDS = frozenset(
    {
        *("messages", "model", "stream", "max_tokens", "max_completion_tokens"),
        *("top_p", "stop", "tools", "reasoning_effort"),
    }
)
_SERVICE_TIERS = ("default", "flex", "priority", "reserved")
# What a caller may say of Converse's own; all else that is unknown is meant for the model.
_MEMBERS = frozenset(
    {
        *("additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig"),
        *("promptVariables", "requestMetadata"),
    }
)

_can_say = partial(can_say, words=_WORDS, service_tiers=_SERVICE_TIERS)


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `Converse`. Raises `InvalidRequest` for what cannot be said."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    conversation = encode_conversation(request.messages, BedrockBlocks(model))
    if request.tool_choice == "none":
        # There is no such choice. Without tools it needs none, but they have to be there
        # where one was called before.
        if name_calls(request.messages):
            unsupported.append("tool_choice")
        else:
            request.tools = []
    unsupported += find_names(request.messages)
    body = given(
        messages=conversation.turns,
        system=conversation.system or None,
        inferenceConfig=_encode_sampling(request, model) or None,
        toolConfig=_encode_tools(request),
        serviceTier={"type": request.service_tier} if request.service_tier else None,
        **_encode_output(request, model=model),
    )
    own = {name: value for name, value in request.extra.items() if name in _MEMBERS}
    return Encoded(wire.encode_plain(body | own), unsupported)


def _encode_sampling(request: CreateChatCompletionRequest, model: str) -> dict[str, Any]:
    # 1 holds at Claude anyway, which refuses either beside the other, whatever it is.
    default = 1 if "claude" in model else None
    return given(
        maxTokens=find_limit(request),
        temperature=None if request.temperature == default else request.temperature,
        topP=None if request.top_p == default else request.top_p,
        stopSequences=list_stops(request),
    )


def _encode_tools(request: CreateChatCompletionRequest) -> dict[str, Any] | None:
    listed = list_tools(request)
    if not listed:
        return None
    encoded = [_encode_tool(tool, path) for path, tool in listed]
    return given(tools=encoded, toolChoice=_encode_choice(request.tool_choice))


def _encode_tool(tool: tools.Tool, path: str) -> dict[str, Any]:
    match tool:
        case tools.ChatCompletionTool(function=function):
            parameters = function.parameters or {"properties": {}}
            specification = given(
                name=function.name,
                description=function.description or None,
                inputSchema={"json": {"type": "object", **parameters}},
                strict=function.strict or None,
            )
            return {"toolSpec": specification}
    raise refuse(path, "this provider knows functions only.")


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
            raise refuse("tool_choice", "it is none, auto, required or a function.")
    return None


def _encode_output(request: CreateChatCompletionRequest, *, model: str) -> dict[str, Any]:
    """How much to think, how the answer should look, and what is for the model itself."""
    fields = {name: value for name, value in request.extra.items() if name not in _MEMBERS}
    config: dict[str, Any] = {}
    if effort := request.reasoning_effort:
        config = {"effort": effort}
        if "claude" in model:
            limit = find_limit(request) or MAX_TOKENS
            thinking, config = encode_effort(effort, model=model, max_tokens=limit)
            fields.setdefault("thinking", thinking)
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
    schema = wire.encode_plain(described.schema or {"type": "object"}).decode()
    json_schema = given(
        schema=schema, name=described.name, description=described.description or None
    )
    return {"type": "json_schema", "structure": {"jsonSchema": json_schema}}


_NO_CALL_ID = re.compile("[^a-zA-Z0-9_.:-]")
_NO_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_CALL_ID_MAX = 64
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
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html"""

    format = FORMAT

    def __init__(self, model: str) -> None:
        self.reasoning_format = find_reasoning_format(model)

    def part(self, part: ContentPart, path: str) -> list[Block]:
        match part:
            case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
                return [_encode_image(image.url, f"{path}.image_url.url")]
            case messages.ChatCompletionRequestMessageContentPartFile(file=file):
                return [_encode_document(file, f"{path}.file")]
            case messages.ChatCompletionRequestMessageContentPartAudio(input_audio=audio):
                source = {"bytes": audio.data}
                return [{"audio": {"format": audio.format, "source": source}}]
            case messages.UnknownContentPart(members=members):
                # One of Converse's own: its blocks have no type but the name of their member.
                return [{name: value for name, value in members.items() if name != "type"}]
        raise refuse(path, "this provider has no block for it.")

    def text(self, text: str) -> Block:
        return {"text": text}

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        ttl = cache_control.get("ttl") if isinstance(cache_control, dict) else None
        return [block, {"cachePoint": given(type="default", ttl=ttl)}]

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        return {"toolUse": {"toolUseId": _encode_id(id), "name": name, "input": input}}

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        status = "error" if failed else None
        return {"toolResult": given(toolUseId=_encode_id(id), content=content, status=status)}

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        match detail:
            case {"type": "reasoning.text", "text": str(text), "signature": str(signature)}:
                return {
                    "reasoningContent": {"reasoningText": {"text": text, "signature": signature}}
                }
            case {"type": "reasoning.encrypted", "data": str(data)}:
                return {"reasoningContent": {"redactedContent": data}}
        return None


def _encode_image(url: str, path: str) -> Block:
    data = read_data_url(url, path=path)
    if data is not None:
        kind = data.media_type.removeprefix("image/")
        source: dict[str, Any] = {"bytes": data.base64}
    elif url.startswith("s3://"):
        kind = (mimetypes.guess_type(url)[0] or "").removeprefix("image/")
        source = {"s3Location": {"uri": url}}
    else:
        raise refuse(path, "this provider fetches nothing: send a data: or s3:// URL.")
    return {"image": {"format": "jpeg" if kind == "jpg" else kind, "source": source}}


def _encode_document(file: messages.InputFile, path: str) -> Block:
    if file.file_id:
        raise refuse(f"{path}.file_id", "this provider keeps no files: send file_data.")
    data = read_file(file, path=path)
    if data.media_type not in _DOCUMENTS:
        raise refuse(path, f"this provider takes no {data.media_type}.")
    stem = (file.filename or "").rpartition(".")[0] or file.filename or "document"
    name = _NO_NAME.sub(" ", stem)[:_NAME_MAX]
    source = {"bytes": data.base64}
    return {"document": {"format": _DOCUMENTS[data.media_type], "name": name, "source": source}}


def _encode_id(id: str) -> str:
    return _NO_CALL_ID.sub("_", id)[:_CALL_ID_MAX]
