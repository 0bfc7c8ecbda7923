"""What Briggs sends a vendor, and what the cases say that it answers, are of the vendor's types.

    python vendors_story.py gemini|cohere FOLDER...

Each folder is a case of tests/wires/cases.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter


def check_gemini(sent: dict[str, Any], received: list[dict[str, Any]]) -> None:
    """All of Gemini's types forbid what they do not know."""
    from google.genai import types

    members: dict[str, Any] = {
        "cachedContent": str,
        "contents": list[types.Content],
        "generationConfig": types.GenerationConfig,
        "safetySettings": list[types.SafetySetting],
        "serviceTier": types.ServiceTier,
        "systemInstruction": types.Content,
        "toolConfig": types.ToolConfig,
        "tools": list[types.Tool],
    }
    for name, value in sent.items():
        TypeAdapter(members[name]).validate_json(json.dumps(value))
    for answer in received:
        types.GenerateContentResponse.model_validate_json(json.dumps(answer))


def check_cohere(sent: dict[str, Any], received: list[dict[str, Any]]) -> None:
    """Cohere's types allow more, so it is looked up that nothing more is sent."""
    import cohere
    from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse

    parameters = {*inspect.signature(cohere.ClientV2.chat).parameters, "stream"}
    assert set(sent) <= parameters, set(sent) - parameters
    members: dict[str, Any] = {
        "messages": list[cohere.ChatMessageV2],
        "tools": list[cohere.ToolV2],
        "response_format": cohere.ResponseFormatV2,
        "thinking": cohere.Thinking,
    }
    for name, type in members.items():
        if name in sent:
            assert_known(TypeAdapter(type).validate_json(json.dumps(sent[name])), name)
    for answer in received:
        type = V2ChatStreamResponse if "type" in answer else V2ChatResponse
        TypeAdapter(type).validate_json(json.dumps(answer))


def assert_known(value: Any, path: str) -> None:
    """No member is there that the vendor's types do not name."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{path} has {value.model_extra}"
        for name in type(value).model_fields:
            assert_known(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            assert_known(item, f"{path}[{position}]")


def read_answers(folder: Path) -> Iterator[dict[str, Any]]:
    """What the vendor answers, if that is no error."""
    if (folder / "error.json").exists():
        return
    if (folder / "received.json").exists():
        yield json.loads((folder / "received.json").read_text("utf-8"))
        return
    for line in (folder / "received.sse").read_text("utf-8").splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


CHECKS: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], None]] = {
    "cohere": check_cohere,
    "gemini": check_gemini,
}

vendor, *folders = sys.argv[1:]
for folder in map(Path, folders):
    sent = json.loads((folder / "sent.json").read_text("utf-8"))
    try:
        CHECKS[vendor](sent, list(read_answers(folder)))
    except Exception as error:
        sys.exit(f"{folder.name}: {error}")
