"""Redaction in a real server: canaries in everything, killed at random moments, and the files."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from briggs.types.completions import Completion
from briggs.types.record_lines import write_line
from tests.api.test_limits import BODIES
from tests.files import find_texts, find_texts_in_bodies
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.waiting import wait_for_text
from tests.web.visitor import Visitor

CONFIG = """
[redaction]
detect = ["key", "email", "card", "phone", "iban"]
[redaction.patterns]
canary = "canary-[a-z]+"
"""
EMAIL, KEY, CARD = "bob@canary-mail.example", "sk-canary0123456789abcdef", "4111 1111 1111 1111"
SECRETS = [EMAIL, KEY, CARD, "4111111111111111", "bob@", "canary-"]
SAID = f"write to {EMAIL}, with {KEY} and {CARD}. canary-word"


def create_token(text: str) -> dict[str, Any]:
    token = {"token": text, "bytes": list(text.encode()), "logprob": -0.5}
    return {**token, "top_logprobs": [token]}


def split(text: str, size: int = 3) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


def say(handler: Any, seen: Seen) -> None:
    """Answer with secrets in the content, in tool calls and in logprobs, whole or streamed."""
    arguments = json.dumps({"to": EMAIL, "card": 4111111111111111}).replace("@", "\\u0040")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    if not seen.json.get("stream"):
        answer = create_response(SAID, note=KEY)
        answer["choices"][0]["message"]["tool_calls"] = [call]
        answer["choices"][0]["logprobs"] = {"content": [create_token(each) for each in split(SAID)]}
        handler.send_whole(200, json.dumps(answer).encode())
        return
    handler.begin_stream()
    base = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}

    def send(delta: dict[str, Any], **members: Any) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **members}
        handler.write_piece(
            b"data: " + json.dumps({**base, "choices": [choice]}).encode() + b"\n\n"
        )

    for piece in split(SAID):
        send({"content": piece}, logprobs={"content": [create_token(piece)]})
    send({"tool_calls": [{"index": 0, **call, "function": {"name": "f", "arguments": ""}}]})
    for piece in split(arguments):
        send({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    send({}, finish_reason="tool_calls")
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def fail(handler: Any, seen: Seen) -> None:
    """Refuse with a secret in the error and in a header."""
    error = {"error": {"message": f"no account {EMAIL}", "type": KEY, "code": EMAIL}}
    handler.send_whole(429, json.dumps(error).encode(), {"x-canary-account": EMAIL})


def cut(handler: Any, seen: Seen) -> None:
    """End a stream in the middle of a secret."""
    handler.begin_stream()
    chunk = json.dumps(
        {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m-1",
            "choices": [{"index": 0, "delta": {"content": EMAIL}, "finish_reason": None}],
        }
    )
    handler.write_piece(b"data: " + chunk.encode() + b"\n\ndata: " + chunk.encode()[:-20])
    handler.write_piece(b"")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream({"say": say, "fail": fail, "cut": cut})
    yield upstream
    upstream.close()


@pytest.fixture
def server(tmp_path: Path, upstream: Upstream) -> Iterator[Server]:
    with run_server(tmp_path / "data", config=upstream.config() + CONFIG) as server:
        yield server


def ask(server: Server, model: str, *, stream: bool = False, **members: Any) -> Any:
    body = {
        "model": f"{model}/m-1",
        "stream": stream,
        "logprobs": model == "say",
        "messages": [
            {"role": "user", "content": SAID},
            {"role": "user", "content": [{"type": "text", "text": f"\\n{EMAIL}\n{KEY}"}]},
        ],
        "user": EMAIL,
        "metadata": {"owner": EMAIL},
        **members,
    }
    headers = {"x-briggs-tags": f"{KEY},plain", "x-briggs-session": f"of {EMAIL}"}
    return server.chat(body, headers=headers)


def test_callers_get_everything_and_the_files_nothing(server: Server, upstream: Upstream) -> None:
    """The caller and the upstream get the true texts. No file of the folder has any of them."""
    whole = ask(server, "say")
    assert whole.json["choices"][0]["message"]["content"] == SAID
    assert EMAIL in upstream.seen[-1].body.decode()
    streamed = ask(server, "say", stream=True)
    with OpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:
        asked: Any = [{"role": "user", "content": SAID}]
        stream = client.chat.completions.create(model="say/m-1", messages=asked, stream=True)
        assert "".join(each.choices[0].delta.content or "" for each in stream) == SAID
    failed = ask(server, "fail")
    assert EMAIL in failed.json["error"]["message"]
    ask(server, "cut", stream=True)
    ask(server, f"{KEY}-provider")
    large = ask(server, "say", messages=[{"role": "user", "content": f"{'z ' * 60_000}{EMAIL}"}])
    malformed = server.chat(f'{{"model": "say/m-1", "messages": "{EMAIL}'.encode())
    assert malformed.status == 400
    reported = {
        "kind": "chat",
        "status": "finished",
        "tags": [EMAIL],
        "session_id": EMAIL,
        "stacktrace": [{"file": EMAIL}],
        "request": {"model": "m-1", "messages": [{"role": "user", "content": SAID}]},
        "response": create_response(SAID, note=KEY),
    }
    told = server.send("POST", "/api/v1/completions", reported).json["id"]
    again = server.send("POST", f"/api/v1/completions/{told}", {**reported, "status": "finished"})
    assert again.status == 200
    imported = Completion(
        organization_id="default",
        status="finished",
        user=EMAIL,
        request=json.dumps({"messages": [{"role": "user", "content": SAID}]}).encode(),
        response=json.dumps(create_response(SAID)).encode(),
    )
    reply = server.send("POST", "/api/v1/completions/import", write_line(imported) + b"\n")
    assert reply.status == 200, reply.body
    assert server.retrieve(imported.id)["briggs"]["redacted"]["email"] == 3
    changed = server.send(
        "POST", f"/v1/chat/completions/{told}", {"metadata": {"note": EMAIL}, "tags": [KEY]}
    )
    assert changed.status == 200
    grade(server, told)
    for reply in (whole, streamed, large):
        record = server.find(reply, "request", "received")
        content = record["choices"][0]["message"]["content"]
        assert content == (
            "write to [redacted:email], with [redacted:key] and [redacted:card]. [redacted:canary]"
        )
        arguments = record["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(arguments) == {"to": "[redacted:email]", "card": "[redacted:card]"}
        assert record["briggs"]["redacted"]["email"] >= 3
        assert record["briggs"]["total_tokens"] in (7, None)
    tokens = server.find(streamed)["choices"][0]["logprobs"]["content"]
    assert len(tokens) == len(split(SAID)), "no token is lost"
    assert server.find(streamed, "received")["briggs"]["received"] is None
    assert server.find(failed)["briggs"]["failure_reason"].endswith("no account [redacted:email]")
    page = Visitor(server).visit(f"/completions/{server.find(whole)['id']}")
    assert b"Redacted before it was recorded: " in page.body and b"bob@" not in page.body
    assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert find_texts(server.data, SECRETS) == []
    assert find_texts_in_bodies(server.data, SECRETS) == []


def test_every_face_and_traces(server: Server, upstream: Upstream) -> None:
    """No face, whole or streamed, and no span leaves a secret in a file."""
    asked = json.loads(json.dumps(BODIES).replace('"hi"', json.dumps(SAID)))
    asked["/v1/messages"] |= {"system": KEY, "metadata": {"user_id": EMAIL}}
    asked["/v1/responses"] |= {"instructions": CARD, "metadata": {"owner": EMAIL}, "user": EMAIL}
    asked["/api/generate"] |= {"system": EMAIL}
    headers = {"x-briggs-tags": f"{KEY},plain", "x-briggs-session": f"of {EMAIL}"}
    answered = set()
    for path, body in asked.items():
        for stream in (False, True):
            request = {"model": "say/gpt-5", "stream": stream, **body}
            reply = server.send("POST", path, request, headers=headers)
            if reply.status == 200:
                answered.add(path)
            assert json.loads(upstream.seen[-1].body), path
    assert answered == BODIES.keys() - {path for path in BODIES if path.endswith(_FORWARDED)}
    exported = server.send(
        "POST", "/v1/traces", write_export(), headers={"content-type": "application/json"}
    )
    assert exported.status == 200, exported.body
    listed = server.send("GET", "/v1/chat/completions?status=any&limit=100").json["data"]
    assert len(listed) == 2 * len(BODIES) + 1
    assert all(each["briggs"]["redacted"] for each in listed)
    assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert find_texts(server.data, SECRETS) == []
    assert find_texts_in_bodies(server.data, SECRETS) == []


_FORWARDED = ("/embeddings", "/embed", "/moderations")
"""What the upstream of these tests cannot answer."""


def write_export() -> bytes:
    """A span of a call whose every text has a secret, and an evaluation of it."""

    def write(**texts: str) -> list[dict[str, Any]]:
        named = {name.replace("__", "."): {"stringValue": text} for name, text in texts.items()}
        return [{"key": name, "value": value} for name, value in named.items()]

    parts = [{"type": "text", "content": SAID}]
    said = json.dumps([{"role": "user", "parts": parts}])
    event = {
        "name": "gen_ai.evaluation.result",
        "timeUnixNano": "1790000000500000000",
        "attributes": write(
            gen_ai__evaluation__name="quality",
            gen_ai__evaluation__score__label=EMAIL,
            gen_ai__evaluation__explanation=SAID,
        ),
    }
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": f"chat {EMAIL}",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
        "status": {"code": 2, "message": f"no account {EMAIL}"},
        "events": [event],
        "attributes": write(
            gen_ai__operation__name="chat",
            gen_ai__request__model="m",
            gen_ai__conversation__id=EMAIL,
            gen_ai__input__messages=said,
            gen_ai__output__messages=said,
            gen_ai__system_instructions=json.dumps(parts),
        ),
    }
    resource = {"attributes": write(service__name=EMAIL)}
    scoped = {"scope": {"name": "tests"}, "spans": [span]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [scoped]}]}).encode()


def grade(server: Server, id: str) -> None:
    schema = {"type": "object", "properties": {"why": {"type": "string"}}}
    task = server.send(
        "POST",
        "/api/v1/feedback_task",
        {
            "name": "t",
            "instruction": "?",
            "json_schema": schema,
            "completion_tags_selector": [],
        },
    ).json
    given = {
        "task_id": task["id"],
        "completion_ids": [id],
        "json_values": {"why": EMAIL},
        "comment": SAID,
        "corrected_output": {"role": "assistant", "content": SAID},
    }
    made = server.send("POST", "/api/v1/feedback", given)
    assert made.status == 200, made.body
    edited = server.send("POST", f"/api/v1/feedback/{made.json['id']}", {"comment": f"no {KEY}"})
    assert edited.status == 200, edited.body


async def test_nothing_is_in_the_files_of_a_server_that_was_killed(
    tmp_path: Path, upstream: Upstream
) -> None:
    """`kill -9` in the middle of calls leaves nothing in the database, its log or anywhere."""
    data = tmp_path / "data"
    for _ in range(3):
        with run_server(data, config=upstream.config() + CONFIG) as server:
            calls = [
                asyncio.create_task(asyncio.to_thread(_try, server, number)) for number in range(6)
            ]
            await asyncio.sleep(0.6)
            server.process.kill()
            server.process.wait()
            await asyncio.gather(*calls)
        assert find_texts(data, SECRETS) == []
        assert find_texts_in_bodies(data, SECRETS) == []
    assert find_texts_in_bodies(data, ["[redacted:email]"]), "calls were recorded"


def _try(server: Server, number: int) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end and server.process.poll() is None:
        try:
            ask(server, "say", stream=number % 2 == 0)
        except (OSError, http.client.HTTPException):
            return


def test_a_change_of_the_file_and_mistakes_in_it(tmp_path: Path, upstream: Upstream) -> None:
    """A reload applies new patterns. One that RE2 cannot use is refused, with its line."""
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        before = ask(server, "say")
        assert server.find(before)["choices"][0]["message"]["content"] == SAID
        config = tmp_path / "data.toml"
        config.write_text(upstream.config() + '[redaction.patterns]\nbad = "(?=x)"\n')
        server.process.send_signal(signal.SIGHUP)
        log = tmp_path / "data.log"
        wait_for_text(log, "is not a pattern for RE2")
        config.write_text(upstream.config() + CONFIG)
        server.process.send_signal(signal.SIGHUP)
        wait_for_text(log, "Briggs now uses")
        after = ask(server, "say")
        assert "[redacted:email]" in server.find(after)["choices"][0]["message"]["content"]
