"""Gemini's wire: its addresses, a conversation of several turns, its lists and its errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage

from briggs.providers.http import PAGES_MAX
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest, UpstreamInvalid
from briggs.wires.base import Prepared
from briggs.wires.gemini.answer import read_usage
from briggs.wires.gemini.wire import GeminiWire
from tests.processes import Reply
from tests.wires.test_served_wires import fold
from tests.wires.vendors import KEY, Vendor, list_ids, run_vendor

WIRE = GeminiWire()
ASKED = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
CALL = {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def answer(handler: Any, seen: Any) -> None:
    """Calls a tool, and repeats the tool's result."""
    last = seen.json["contents"][-1]["parts"][-1]
    result = last.get("functionResponse", {}).get("response", {}).get("output")
    part = CALL if result is None else {"text": f"It is {result}."}
    candidate = {"content": {"parts": [part], "role": "model"}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8}
    body = {"candidates": [candidate], "usageMetadata": usage, "responseId": "r-1"}
    if seen.path.endswith(":generateContent"):
        handler.send_whole(200, json.dumps(body).encode())
        return
    handler.begin_stream()
    handler.write_piece(b"data: " + json.dumps(body).encode() + b"\r\n\r\n")
    handler.write_piece(b"")


def refuse(handler: Any, seen: Any) -> None:
    """Answers with an error whose body has a delay, or an unknown key."""
    error: dict[str, Any] = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27.3s"}
    if "keyless" in seen.path:
        error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    body = json.dumps({"error": {**error, "details": [detail]}}).encode()
    handler.send_whole(error["code"], body)


def behave(handler: Any, seen: Any) -> None:
    """Answers, unless the model is one that refuses."""
    (answer if "gemini" in seen.path else refuse)(handler, seen)


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with run_vendor(
        tmp_path_factory.mktemp("gemini"), behave, kind="gemini", path="/v1beta"
    ) as vendor:
        yield vendor


def ask(
    vendor: Vendor, messages: list[Any], *, model: str = "gemini-3-flash", **more: Any
) -> Reply:
    request = {"model": f"gemini/{model}", "messages": messages, "tools": TOOLS}
    return vendor.server.chat({**request, **more})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_and_its_result(vendor: Vendor, stream: bool) -> None:
    """An answer with a tool call is sent back unchanged, with its signature."""
    vendor.upstream.seen.clear()
    messages: list[Any] = [{"role": "user", "content": "1?"}]
    reply = ask(vendor, messages, stream=stream)
    called = (fold(reply) if stream else reply.json)["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    # The client parses the message into its own type, and serialises it again.
    message = ChatCompletionMessage.model_validate(called["message"]).model_dump(exclude_none=True)
    [call] = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "2"}
    reply = ask(vendor, [*messages, message, result], stream=stream)
    said = (fold(reply) if stream else reply.json)["choices"][0]["message"]
    assert said["content"] == "It is 2."
    turns = vendor.upstream.seen[1].json["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    named = {**CALL["functionCall"], "id": call["id"]}  # type: ignore[dict-item]
    assert turns[1]["parts"] == [{**CALL, "functionCall": named}]


@pytest.mark.parametrize(
    ("stream", "method"), [(False, ":generateContent"), (True, ":streamGenerateContent?alt=sse")]
)
def test_where_it_is_asked(vendor: Vendor, stream: bool, method: str) -> None:
    """The model and the method are in the address, and the key is in Google's header."""
    vendor.upstream.seen.clear()
    assert ask(vendor, [{"role": "user", "content": "1?"}], stream=stream).status == 200
    [seen] = vendor.upstream.seen
    assert seen.path == f"/vendor/v1beta/models/gemini-3-flash{method}"
    assert seen.headers["x-goog-api-key"] == KEY
    assert "authorization" not in seen.headers


def test_when_to_come_back(vendor: Vendor) -> None:
    """A delay in the body reaches the caller as the header that SDKs follow."""
    reply = ask(vendor, [{"role": "user", "content": "?"}], model="busy")
    assert reply.status == 429
    assert reply.headers["retry-after"] == "28"
    assert reply.json["error"]["message"] == "gemini answered 429: Slow down."


def test_a_key_that_is_refused(vendor: Vendor) -> None:
    """A key that Google does not know is not the caller's error, although Google answers 400."""
    reply = ask(vendor, [{"role": "user", "content": "?"}], model="keyless")
    assert reply.status == 502
    assert reply.headers["x-should-retry"] == "false"
    assert "check VENDOR_KEY" in reply.json["error"]["message"]


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-flash", "models/gemini-3-flash"),
        ("models/gemini-3-flash", "models/gemini-3-flash"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("../files", "models/..%2Ffiles"),
        ("a?b#c", "models/a%3Fb%23c"),
    ],
)
def test_a_model_stays_in_its_place(model: str, path: str) -> None:
    """The name of a model cannot change the address."""
    url = WIRE.url("https://a.example/v1beta", model=model, stream=False)
    assert url == f"https://a.example/v1beta/{path}:generateContent"


def test_a_long_conversation() -> None:
    """Turns of one role are joined in a time that grows as the conversation does."""
    messages = [{"role": "user", "content": "hi"}] * 60_000
    body = json.dumps({"model": "m", "messages": messages}).encode()
    began = time.process_time()
    sent = json.loads(WIRE.encode(open_envelope(body), model="m").body)
    # In a time that grew with the square it would be two minutes.
    assert time.process_time() - began < 30
    [turn] = sent["contents"]
    assert len(turn["parts"]) == 60_000


def test_models() -> None:
    """Chat models are listed under the names that calls use."""
    listed = [
        {"name": "models/gemini-3-flash", "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/gemini-embedding-2", "supportedGenerationMethods": ["embedContent"]},
        {"name": "tunedModels/mine-1"},
    ]
    page = WIRE.read_models(json.dumps({"models": listed}).encode())
    assert [model["id"] for model in page.models] == ["gemini-3-flash", "tunedModels/mine-1"]


def test_models_on_several_pages(vendor: Vendor) -> None:
    """The list is read to its end, which may be an empty page."""
    path = "/vendor/v1beta/models?pageSize=1000"
    for token, page in (
        ("", {"models": [{"name": "models/one"}], "nextPageToken": "a/b="}),
        ("&pageToken=a%2Fb%3D", {"models": [{"name": "models/two"}], "nextPageToken": "c"}),
        ("&pageToken=c", {}),
    ):
        vendor.upstream.models[path + token] = json.dumps(page).encode()
    assert list_ids(vendor) == ["gemini/one", "gemini/two"]


def test_a_list_of_models_without_an_end(vendor: Vendor) -> None:
    """If every page announces another, the listing still ends."""
    vendor.upstream.models.clear()
    page = {"models": [{"name": "models/one"}], "nextPageToken": "again"}
    vendor.upstream.models["vendor"] = json.dumps(page).encode()
    assert len(list_ids(vendor)) == PAGES_MAX


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}, (4, 2)),
        # Only the total includes the thoughts.
        ({"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 16}, (4, 12)),
        # The candidates' tokens already include the thoughts.
        (
            {
                "promptTokenCount": 4,
                "candidatesTokenCount": 12,
                "thoughtsTokenCount": 10,
                "totalTokenCount": 16,
            },
            (4, 12),
        ),
        ({"promptTokenCount": 4, "candidatesTokenCount": 2}, (4, 2)),
        # A total without the tools' results is wrong.
        (
            {
                "promptTokenCount": 4,
                "toolUsePromptTokenCount": 9,
                "candidatesTokenCount": 2,
                "totalTokenCount": 6,
            },
            (13, 2),
        ),
    ],
)
def test_the_total_counts(counts: dict[str, int], expected: tuple[int, int]) -> None:
    """All tokens beyond the prompt count as written, and the sum is right for any total."""
    usage = read_usage(counts)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == expected
    assert usage["total_tokens"] == sum(expected)


@pytest.mark.parametrize(("delay", "seconds"), [("27.3s", 28), ("1e300s", 604_800), ("-5s", 0)])
def test_delays_are_bounded(delay: str, seconds: int) -> None:
    """A delay is limited to a week."""
    error = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}
    body = json.dumps({"error": {**error, "details": [{"retryDelay": delay}]}}).encode()
    assert WIRE.read_error(body).retry_after_s == seconds


def test_sources_are_not_named_without_end() -> None:
    """A long source is not repeated for each part, and each part names a source once."""
    short = {"web": {"uri": "https://a.example", "title": "a"}}
    long = {"web": {"uri": "https://b.example/" + "x" * 1_000_000, "title": "b"}}
    support = {"segment": {"endIndex": 2, "text": "hi"}, "groundingChunkIndices": [0, 1] * 1000}
    grounding = {"groundingChunks": [short, long], "groundingSupports": [support] * 2000}
    content = {"role": "model", "parts": [{"text": "hi"}]}
    candidate = {"content": content, "finishReason": "STOP", "groundingMetadata": grounding}
    body = json.dumps({"candidates": [candidate], "usageMetadata": {}}).encode()
    answer = json.loads(WIRE.decode(body, prepared=Prepared(open_envelope(ASKED), "gemini", ASKED)))
    annotations = answer["choices"][0]["message"]["annotations"]
    assert len(annotations) == 500
    assert {one["url_citation"]["url"] for one in annotations} == {"https://a.example"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            {
                "candidates": [
                    {"index": n, "content": {"parts": [{"text": "a"}]}} for n in range(50_000)
                ]
            },
            "more than 128 choices",
        ),
        (
            {
                "candidates": [
                    {"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}] * 50_000}}
                ]
            },
            "more than 1024 tool calls",
        ),
    ],
)
def test_parts_without_measure(answer: dict[str, Any], reason: str) -> None:
    """An answer with more choices or calls than can be asked for ends before all are read."""
    envelope = open_envelope(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')
    prepared = Prepared(envelope, "m", b"{}", translated=True)
    body = json.dumps(answer).encode()
    began = time.process_time()
    with pytest.raises(UpstreamInvalid, match=reason):
        GeminiWire().decode(body, prepared=prepared)
    assert time.process_time() - began < 2


def test_an_image_at_half_an_address() -> None:
    """A URL that Python cannot split is refused by its place, and is no defect."""
    part = {"type": "image_url", "image_url": {"url": "https://[::1/a.png"}}
    asked = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    with pytest.raises(InvalidRequest, match="host"):
        WIRE.encode(open_envelope(json.dumps(asked).encode()), model="m")
