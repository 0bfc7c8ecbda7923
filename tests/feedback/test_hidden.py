"""A completion whose model is hidden keeps what a reviewer grades, and nothing that tells more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.feedback.hidden import hide_model
from briggs.types.completions import Completion


def hide(request: Any, response: Any, **members: Any) -> tuple[Any, Any]:
    """The request and the response that are left of a completion."""
    completion = Completion(
        organization_id="default",
        status="finished",
        request=json.dumps(request).encode(),
        response=json.dumps(response).encode(),
        provider="anthropic",
        model="claude-x",
        response_model="claude-x",
        metadata={"arm": "claude"},
        session_id="claude-session",
        cost_usd=1.0,
        tags=["task", "claude"],
        **members,
    )
    hidden = hide_model(completion, tags=["task"])
    assert hidden.tags == ["task"]
    assert b"claude" not in repr(hidden).encode()
    left_out = (hidden.cost_usd, hidden.duration_ms, hidden.provider, hidden.session_id)
    assert left_out == (None, None, None, None)
    return json.loads(hidden.request), json.loads(hidden.response or b"null")


def test_a_recorded_anthropic_call() -> None:
    """A call in Anthropic's words reads as any other; thinking and its signature are gone."""
    request, response = hide(
        {
            "model": "claude-x",
            "max_tokens": 100,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        },
        {
            "id": "msg_claude",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [
                {"type": "thinking", "thinking": "claude thinks", "signature": "claude"},
                {"type": "text", "text": "Hello."},
                {"type": "tool_use", "id": "toolu_claude", "name": "clock", "input": {}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        },
        source="client",
    )
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request.keys() == {"messages"}
    (choice,) = response["choices"]
    assert choice["message"]["content"] == "Hello."
    assert choice["finish_reason"] == "tool_calls"
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["call_1"]
    assert "usage" not in response


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (None, None),
        ([1], "text"),
        ({"messages": "no list"}, {"choices": [{"message": "no object"}, 3]}),
        ({"messages": [{"role": "user", "content": [{"type": ["a"]}, 1]}]}, {"choices": None}),
    ],
)
def test_bodies_of_any_shape(request_: Any, response: Any) -> None:
    """What cannot be read is left out, and nothing is raised."""
    hide(request_, response)
