"""Payloads that real servers send, replayed through a real process."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from briggs.rules import check_error, check_response, check_stream
from briggs.types.fold import Fold
from tests.processes import Reply, Server, list_cases, load_case, read_frames, read_piece

Json = dict[str, Any]

# What breaks a rule and cannot honestly be mended: it is refused, and recorded as failed.
REFUSED = {
    "n09-finish-toolcalls-empty",
    "n13-finish-empty-or-null",
    "n25-error-string",
    "n31-seed-page-example",
    "s17-mid-stream-error-openrouter",
    "s19-event-error-anthropic",
    "s21-done-without-finish",
}
ANSWERED = [id for id in list_cases() if id not in REFUSED]

# What `normalise`, `preserve` and `must` of each case mean for the answer: members that it has.
HELD: dict[str, Json] = {
    "n05-logprobs-nan-infinity": {
        "choices": [{"logprobs": {"content": [{"logprob": -9999.0, "top_logprobs": []}]}}]
    },
    "n07-toolcalls-content-missing": {
        "choices": [{"message": {"content": None, "refusal": None}, "logprobs": None}]
    },
    "n11-tool-args-object": {
        "choices": [{"message": {"tool_calls": [{"function": {"arguments": '{"city":"Oslo"}'}}]}}]
    },
    "n15-created-float-ms-string": {"created": 1_746_709_563},
    "n17-usage-null-details-and-extras": {"usage": {"queue_time": 0.01, "cost": 1.2e-05}},
    "n19-content-array-thinking": {
        "choices": [{"message": {"content": "42", "reasoning_content": "hm"}}]
    },
    "n23-nul-and-lone-surrogate": {"choices": [{"message": {"content": "a\0b \ud83d end"}}]},
    "n25-error-string": {"error": {"type": "not_found_error", "param": None, "code": None}},
    "s11-tool-index-reused": {
        "choices": [{"message": {"tool_calls": [{"id": "call_a"}, {"id": "call_b"}]}}]
    },
}

# The fixes that are noted beside what `violates` says: warnings, and what follows from them.
NOTED_BESIDE = {"M5", "S7"}
# What is broken by bytes and lines, which are written anew whatever they were.
NOT_NOTED = {"J1", "S2", "S3", "S6"}


def ask(server: Server, case: Json) -> Reply:
    return server.chat({**case["request"], "model": f"{case['id']}/m-1"})


def read_answer(reply: Reply) -> Json:
    """What a caller got: a response, or what the chunks spell, or the error."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return dict(reply.json)
    fold = Fold()
    for frame in read_frames(reply.body):
        chunk = {} if frame == "[DONE]" else json.loads(frame)
        if "error" in chunk:
            return {**fold.response(), **chunk}
        fold.add(chunk)
    return fold.response()


def holds(value: Any, expected: Any) -> bool:
    """Whether a value has all the members and items of another."""
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            name in value and holds(value[name], inner) for name, inner in expected.items()
        )
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(holds, value, expected))
    return type(value) is type(expected) and bool(value == expected)


def read_expected(answer: Json) -> Json:
    """The members of an answer in the words of `expect`."""
    messages = [choice["message"] for choice in answer["choices"]]
    calls = messages[0].get("tool_calls", [])
    functions = [(call["id"], call["function"]) for call in calls]
    return {
        "content": messages[0]["content"],
        "partial": messages[0]["content"],
        "contents": [message["content"] for message in messages],
        "reasoning": messages[0].get("reasoning_content"),
        "tool_calls": [[id, called["name"], called["arguments"]] for id, called in functions],
        "usage": answer.get("usage"),
    }


@pytest.mark.parametrize("id", ANSWERED)
def test_answered(server: Server, id: str) -> None:
    """A payload that conforms, or can be made to, is answered and recorded as finished."""
    case = load_case(id)
    expect = case["expect"]
    reply = ask(server, case)
    assert reply.status == 200, reply.body
    answer, recorded = read_answer(reply), server.find(reply)
    assert recorded["briggs"]["status"] == "finished"
    for held in (answer, recorded):
        got = read_expected(held)
        for name in got.keys() & expect.keys():
            # The usage of a stream goes to those who ask for it, and always to the record.
            if name != "usage" or held is recorded or "stream_options" in case["request"]:
                assert got[name] == expect[name], name
        assert holds(held, HELD.get(id, {}))
    if "usage" in expect:
        assert recorded["briggs"]["total_tokens"] == expect["usage"]["total_tokens"]


@pytest.mark.parametrize("id", sorted(REFUSED))
def test_refused(server: Server, id: str) -> None:
    """A payload that cannot be mended becomes an error, and what arrived of it is kept."""
    case = load_case(id)
    reply = ask(server, case)
    answer = read_answer(reply)
    error = answer["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert holds(answer, HELD.get(id, {}))
    recorded = server.find(reply, "received")
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["briggs"]["failure_reason"] == error["message"]
    if "error" in case["expect"]:
        assert case["expect"]["error"] in error["message"]
    partial = case["expect"].get("partial") or case["expect"].get("content")
    if partial:
        assert answer["choices"][0]["message"]["content"] == partial
        assert recorded["choices"][0]["message"]["content"] == partial


def test_every_prose_is_asserted() -> None:
    """What `normalise`, `preserve` or `must` say of a case is in the table above."""
    prose = {"normalise", "preserve", "must"}
    told = {id for id in list_cases() if prose & load_case(id)["expect"].keys()}
    assert told == set(HELD)


@pytest.mark.parametrize("id", ANSWERED)
def test_fixes(server: Server, id: str) -> None:
    """What was mended is what the case says is broken; a conforming answer passes unchanged."""
    case = load_case(id)
    reply = ask(server, case)
    recorded = server.find(reply, "received")["briggs"]
    mended = {fix["rule"] for fix in recorded["fixes"]}
    assert mended - NOTED_BESIDE == set(case["expect"].get("violates", ())) - NOT_NOTED
    assert all(fix["path"] for fix in recorded["fixes"])
    if case["expect"]["ok"] and case["wire"]["kind"] != "sse":
        assert reply.body.decode() == sent_text(case)


@pytest.mark.parametrize("id", list_cases())
def test_no_rule_is_broken(server: Server, id: str) -> None:
    """Whatever came, what goes out breaks no rule but that the stream of a failure has no end."""
    case = load_case(id)
    reply = ask(server, case)
    request = json.dumps(case["request"]).encode()
    kind = reply.headers["content-type"]
    if reply.status != 200:
        findings = check_error(reply.body, status=reply.status, content_type=kind)
    elif kind.startswith("text/event-stream"):
        findings = check_stream(reply.body, request=request, content_type=kind)
    else:
        findings = check_response(reply.body, request=request)
    errors = {finding.rule for finding in findings if finding.severity == "error"}
    assert errors <= ({"S3", "S6", "S14"} if id in REFUSED else set())


@pytest.mark.parametrize("id", ANSWERED)
def test_openai_models_accept_it(server: Server, id: str) -> None:
    """Every answer and every chunk is of the types of OpenAI's package, strictly."""
    reply = ask(server, load_case(id))
    # No reader of UTF-8 takes half a surrogate pair, though JSON does.
    body = reply.body.replace(b"\\ud83d", b"?").replace(b"\\ude0a", b"?")
    if id.startswith("n"):
        ChatCompletion.model_validate_json(body, strict=True)
    else:
        for frame in read_frames(body)[:-1]:
            ChatCompletionChunk.model_validate_json(frame, strict=True)


@pytest.mark.parametrize("id", list_cases())
def test_openai_client_accepts_it(server: Server, id: str) -> None:
    """OpenAI's client reads every answer with validation on, and raises for every failure."""
    case = load_case(id)
    request: Any = {**case["request"], "model": f"{id}/m-1"}
    said = ""
    with openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=server.key,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        try:
            answer = client.chat.completions.create(**request)
            if isinstance(answer, ChatCompletion):
                said = answer.choices[0].message.content or ""
            else:
                chunks = [
                    choice for chunk in answer for choice in chunk.choices if not choice.index
                ]
                said = "".join(choice.delta.content or "" for choice in chunks)
        except openai.APIResponseValidationError:
            # Pydantic takes no half of a surrogate pair.
            assert id == "n23-nul-and-lone-surrogate"
            return
        except openai.APIError as error:
            assert id in REFUSED
            assert error.body
            return
    assert id not in REFUSED
    halves = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert halves == case["expect"].get("content", halves)


def sent_text(case: Json) -> str:
    """What the upstream of a whole answer sends."""
    return case["wire"].get("text") or json.dumps(case["wire"]["body"], ensure_ascii=False)


@pytest.mark.parametrize("id", list_cases())
def test_received_byte_for_byte(server: Server, id: str) -> None:
    """Whatever an upstream sent is in the record as it came."""
    case = load_case(id)
    recorded = server.find(ask(server, case), "received")
    received = recorded["briggs"]["received"]
    if case["wire"]["kind"] == "sse":
        sent = b"".join(read_piece(piece) for piece in case["wire"]["chunks"])
        # What comes after [DONE] is nobody's answer, and need not have arrived.
        assert sent.decode().startswith(received)
        assert len(received) > 0
    elif received is not None:
        assert received == sent_text(case)
    else:
        assert case["expect"]["ok"]


@pytest.mark.parametrize("id", [id for id in list_cases() if id.startswith("s")])
def test_streams_are_strict(server: Server, id: str) -> None:
    """What leaves Briggs is `data:` frames with LF, one identity, and [DONE] only on success."""
    reply = ask(server, load_case(id))
    assert reply.headers["content-type"].startswith("text/event-stream")
    frames = read_frames(reply.body)
    assert (frames[-1] == "[DONE]") == (id not in REFUSED)
    chunks = [json.loads(frame) for frame in frames[:-1]]
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in chunks}) == 1
    begun = set()
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert ("role" in choice["delta"]) == (choice["index"] not in begun)
            begun.add(choice["index"])
    for separator in ("\u2028", "\u2029", "\u0085", "\ufeff"):
        assert separator not in reply.body.decode()


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("id", ["ok", "s03-usage-with-choices", "s41-logprobs-stream"])
def test_usage_is_for_those_who_ask(server: Server, id: str, include_usage: bool) -> None:
    """Usage goes out once, last, with no choices, and only if it was asked for."""
    request: dict[str, Any] = {
        "model": f"{id}/m-1",
        "stream": True,
        "messages": [{"role": "user", "content": "one two"}],
    }
    if include_usage:
        request["stream_options"] = {"include_usage": True}
    reply = server.chat(request)
    chunks = [json.loads(frame) for frame in read_frames(reply.body)[:-1]]
    with_usage = [chunk for chunk in chunks if chunk.get("usage")]
    assert with_usage == ([chunks[-1]] if include_usage else [])
    assert all(chunk["choices"] == [] for chunk in with_usage)
    assert server.find(reply)["briggs"]["total_tokens"] > 0
