"""The chat completion response, as OpenAI's page shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

import briggs
from briggs import (
    ChatCompletionResponseMessage,
    ChatCompletionRole,
    ChatCompletionTokenLogprob,
    Choices,
    CompletionUsage,
    CreateChatCompletionResponse,
    FinishReason,
    Logprobs,
    ObjectT,
    TopLogprobs,
    decode,
    encode,
)


def page_example() -> CreateChatCompletionResponse:
    """The example value of the page `CreateChatCompletionResponse`, in Python."""
    return CreateChatCompletionResponse(
        id="<id>",
        choices=[
            Choices(
                finish_reason=FinishReason.Length,
                index=363711,
                message=ChatCompletionResponseMessage(
                    content="<value>",
                    role=ChatCompletionRole.Assistant,
                ),
                logprobs=Logprobs(
                    content=[
                        ChatCompletionTokenLogprob(
                            token="<value>",
                            logprob=4386.02,
                            bytes=[988374],
                            top_logprobs=[
                                TopLogprobs(token="<value>", logprob=1020.45, bytes=[208876]),
                            ],
                        ),
                    ],
                ),
            ),
        ],
        created=161309,
        model="gpt-4-turbo",
        object=ObjectT.ChatCompletion,
    )


PAGE_JSON: dict[str, Any] = {
    "id": "<id>",
    "choices": [
        {
            "finish_reason": "length",
            "index": 363711,
            "message": {"role": "assistant", "content": "<value>", "refusal": None},
            "logprobs": {
                "content": [
                    {
                        "token": "<value>",
                        "logprob": 4386.02,
                        "bytes": [988374],
                        "top_logprobs": [
                            {"token": "<value>", "logprob": 1020.45, "bytes": [208876]},
                        ],
                    }
                ],
                "refusal": None,
            },
        }
    ],
    "created": 161309,
    "model": "gpt-4-turbo",
    "object": "chat.completion",
}


def test_the_page_example_works_as_it_stands() -> None:
    """It can be constructed, encoded with every required key, and decoded to an equal value."""
    example = page_example()
    assert json.loads(encode(example)) == PAGE_JSON
    assert decode(encode(example), CreateChatCompletionResponse) == example
    assert msgspec.json.decode(encode(example), type=CreateChatCompletionResponse) == example


def test_the_page_example_without_refusals_stays_without() -> None:
    """A response read from JSON without `refusal` is equal, and is written without it."""
    received = json.loads(encode(page_example()))
    del received["choices"][0]["message"]["refusal"]
    del received["choices"][0]["logprobs"]["refusal"]
    value = decode(json.dumps(received), CreateChatCompletionResponse)
    assert value == page_example()
    assert json.loads(encode(value)) == received


@pytest.mark.parametrize("enum", [FinishReason, ObjectT, ChatCompletionRole, briggs.ServiceTier])
def test_members_have_the_name_of_the_page_and_of_python(enum: Any) -> None:
    """`FinishReason.ToolCalls` and `FinishReason.TOOL_CALLS` are one member, and text."""
    for name, member in enum.__members__.items():
        upper = "".join(f"_{letter}" if letter.isupper() else letter for letter in member.name)
        assert getattr(enum, upper.removeprefix("_").upper()) is getattr(enum, name)
        assert member == member.value


@pytest.mark.parametrize("reason", ["eos", "", "error", None])
def test_a_reason_outside_of_the_enum_is_refused(reason: str | None) -> None:
    """A finish_reason that the specification does not know has no typed value."""
    received = json.loads(encode(page_example()))
    received["choices"][0]["finish_reason"] = reason
    with pytest.raises(msgspec.ValidationError, match=r"\$\.choices\[0\]\.finish_reason"):
        decode(json.dumps(received), CreateChatCompletionResponse)


def test_a_service_tier_of_the_providers_own_is_kept() -> None:
    """`service_tier` is open: Groq's `on_demand` is read, and the known ones compare equal."""
    value = page_example()
    value.service_tier = "on_demand"
    assert decode(encode(value), CreateChatCompletionResponse).service_tier == "on_demand"
    value.service_tier = briggs.ServiceTier.Default
    assert decode(encode(value), CreateChatCompletionResponse) == value


def test_absent_and_null_are_told_apart() -> None:
    """An absent usage is UNSET and stays absent; a null fingerprint is None and stays null."""
    received = {**PAGE_JSON, "system_fingerprint": None}
    value = decode(json.dumps(received), CreateChatCompletionResponse)
    assert value.usage is briggs.UNSET
    assert value.system_fingerprint is None
    assert json.loads(encode(value)) == received
    value.usage = CompletionUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert list(json.loads(encode(value))) == [*received, "usage"]


def test_every_public_name_exists() -> None:
    """Every name in `__all__` can be imported. Another name is an error."""
    for name in briggs.__all__:
        assert getattr(briggs, name) is not None
    with pytest.raises(AttributeError, match="Completions"):
        _ = briggs.Completions  # type: ignore[attr-defined]


def test_importing_briggs_loads_no_server() -> None:
    """`import briggs` loads only msgspec and the types, not what the server or the CLI needs."""
    code = "import briggs, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    packages = {name.partition(".")[0] for name in loaded.decode().split()}
    assert "msgspec" in packages
    assert not packages & {"pyreqwest", "uvicorn", "starlette", "sqlalchemy", "click", "rich"}
