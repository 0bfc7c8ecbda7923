"""What only Anthropic's models can read is left out for all others, and named."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest

from briggs.providers.catalog import VENDORS
from briggs.settings import ProviderSettings
from briggs.types.errors import InvalidRequest
from briggs.wires.anthropic.face import MESSAGE_FACE
from tests.wires.folders import ENVIRONMENT, Case, list_cases, named
from tests.wires.test_wires import draw, replace_each

Json = dict[str, Any]
MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
USER = json.dumps({"device_id": "d" * 60, "account_uuid": "", "session_id": "s-1"})
REQUEST: Json = {
    "model": "m",
    "max_tokens": 8000,
    "system": [{"type": "text", "text": "Be brief.", **MARK}],
    "metadata": {"user_id": USER},
    "thinking": {"type": "enabled", "budget_tokens": 4000},
    "top_k": 5,
    "context_management": {"edits": []},
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}, "defer_loading": True, **MARK},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": [SIGNED, {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "no"}],
                    "is_error": True,
                    **MARK,
                },
                {
                    "type": "document",
                    "title": "Rules",
                    "source": {"type": "text", "media_type": "text/plain", "data": "One."},
                },
                {"type": "text", "text": "Go on."},
            ],
        },
    ],
}


def fit(request: Json, *, format: str, model: str = "m") -> tuple[Json, list[str]]:
    envelope = MESSAGE_FACE.read_request(json.dumps(request).encode())
    fitted, dropped = envelope.fit(format=format, model=model)
    return json.loads(fitted.body), list(dropped)


def test_a_plain_request() -> None:
    """All others get a chat completion of OpenAI's, and `top_k`."""
    chat, dropped = fit(REQUEST, format="openai")
    function = {"name": "f", "parameters": {"type": "object"}}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    user = chat.pop("user")
    assert len(user) == 64
    assert chat == {
        "model": "m",
        "max_completion_tokens": 8000,
        "reasoning_effort": "medium",
        "top_k": 5,
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "no"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Rules\n\nOne."},
                    {"type": "text", "text": "Go on."},
                ],
            },
        ],
    }
    assert dropped == [
        *("context_management", "tools.defer_loading", "cache_control"),
        *("messages.thinking", "messages.is_error"),
    ]


def test_claude_at_bedrock() -> None:
    """Converse has cache points, reasoning with its signature, and results that failed."""
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    # A model that thinks refuses `top_k`.
    request = {**REQUEST, "output_config": {"effort": "high"}, "top_k": None}
    envelope = MESSAGE_FACE.read_request(json.dumps(request).encode())
    fitted, dropped = envelope.fit(format="bedrock", model=model)
    wire = VENDORS["bedrock"].open_wire(ProviderSettings(kind="bedrock"), environment=ENVIRONMENT)
    encoded = wire.encode(fitted, model=model)
    assert not encoded.unsupported
    body = json.loads(encoded.body)
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert dropped == ["context_management", "tools.defer_loading"]
    assert body["system"] == [{"text": "Be brief."}, point]
    assert body["toolConfig"]["tools"][1] == point
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 4000}
    }
    assert body["outputConfig"] == {"effort": "high"}
    thought, called = body["messages"][1]["content"]
    assert thought["reasoningContent"]["reasoningText"] == {"text": "Hm.", "signature": "EqQB"}
    assert called["toolUse"]["toolUseId"] == "a"
    result, mark, *_ = body["messages"][2]["content"]
    assert result["toolResult"]["status"] == "error"
    assert mark == point


@pytest.mark.parametrize(
    ("members", "effort", "dropped"),
    [
        ({}, None, []),
        ({"thinking": {"type": "adaptive"}}, None, []),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh", []),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low", []),
        ({"thinking": {"type": "enabled", "budget_tokens": 7999}}, "high", []),
        ({"thinking": {"type": "disabled"}}, None, ["thinking"]),
        ({"thinking": {"type": "between_tools"}}, None, ["thinking"]),
        ({"output_config": {"effort": "low", "x": 1}}, "low", ["output_config"]),
    ],
)  # fmt: skip
def test_efforts(members: Json, effort: str | None, dropped: list[str]) -> None:
    """How much to think becomes an effort. What the model decides alone is not named."""
    plain = {"model": "m", "max_tokens": 8000, "messages": REQUEST["messages"][:1]}
    chat, left_out = fit({**plain, **members}, format="gemini")
    assert (chat.get("reasoning_effort"), left_out) == (effort, dropped)
    assert not {"thinking", "output_config"} & chat.keys()


def test_files_and_thoughts_of_others() -> None:
    """A PDF has the name that OpenAI wants. Unsigned thoughts go back to whoever had them."""
    pdf = base64.b64encode(b"%PDF-").decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": pdf}
    thought = {"type": "thinking", "thinking": "So.", "signature": ""}
    messages = [
        {"role": "user", "content": [{"type": "document", "source": source}]},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes."}]},
    ]
    chat, dropped = fit({"model": "m", "max_tokens": 9, "messages": messages}, format="openai")
    file = {"filename": "document.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}
    assert chat["messages"][0]["content"] == [{"type": "file", "file": file}]
    assert chat["messages"][1] == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "So.",
    }
    assert dropped == []


def test_images_in_results() -> None:
    """OpenAI's results are texts. Their images follow as the user's, before what the user said."""
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    image = {"type": "image", "source": source}
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": [image]},
        {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "x"}]},
    ]
    calls: list[Json] = [
        {"type": "tool_use", "id": id, "name": "f", "input": {}} for id in ("a", "b")
    ]
    messages = [
        *REQUEST["messages"][:1],
        {"role": "assistant", "content": calls},
        {"role": "user", "content": [*results, {"type": "text", "text": "Go on."}]},
    ]
    chat, dropped = fit({"model": "m", "max_tokens": 9, "messages": messages}, format="openai")
    url = "data:image/png;base64,aGk="
    assert chat["messages"][2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "(in the next message)"},
        {"role": "tool", "tool_call_id": "b", "content": "x"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
        {"role": "user", "content": "Go on."},
    ]
    assert dropped == []


def test_documents_that_are_no_text() -> None:
    """A document that says that it is text, and is none, is the caller's mistake."""
    source = {"type": "base64", "media_type": "text/plain", "data": "/w=="}
    messages = [{"role": "user", "content": [{"type": "document", "source": source}]}]
    with pytest.raises(InvalidRequest, match="UTF-8"):
        fit({"model": "m", "max_tokens": 9, "messages": messages}, format="openai")


@named([case for case in list_cases() if case.provider == "anthropic" and case.sent])
def test_odd_requests(case: Case) -> None:
    """Any request is fitted to any vendor, or refused as the caller's error."""
    for body in draw(case, [json.dumps(changed) for changed in replace_each(case.sent)]):
        with contextlib.suppress(InvalidRequest):
            envelope = MESSAGE_FACE.read_request(body.encode())
            for vendor in ("openai", "bedrock", "gemini", "cohere", "mistral", "ollama-native"):
                row = ProviderSettings(kind=vendor)
                wire = VENDORS[vendor].open_wire(row, environment=ENVIRONMENT)
                fitted, _ = envelope.fit(format=wire.format, model="claude")
                with contextlib.suppress(InvalidRequest):
                    wire.encode(fitted, model="claude")


@pytest.mark.parametrize(
    "user", [USER, "user_0a_account_9b_session_0f8fad5b-d9cb-469f-a165-70867728950e"]
)
def test_sessions_of_claude_code(user: str) -> None:
    """Claude Code's sessions are sessions here: it names them in the id of its user."""
    request = {**REQUEST, "metadata": {"user_id": user}}
    envelope = MESSAGE_FACE.read_request(json.dumps(request).encode())
    session = envelope.values["metadata"]["briggs_session"]
    assert session in ("s-1", "0f8fad5b-d9cb-469f-a165-70867728950e")
    assert envelope.values["user"] == user
