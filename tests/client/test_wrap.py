"""Wrapped OpenAI and Anthropic clients behave as before, and their calls are recorded."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletion

import briggs
from briggs.client.records import CallRecord, tell
from tests.cli.running import RunningServer
from tests.client.recording import MESSAGES, NOBODY, list_all, open_vendors, recording
from tests.processes import Upstream, create_chunk, create_response
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def vendors() -> Iterator[Upstream]:
    upstream = open_vendors()
    yield upstream
    upstream.close()


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The records, read from the spool while the server is down."""
    with recording(monkeypatch, tmp_path, url=NOBODY) as log:

        def read() -> list[CallRecord]:
            found = [log.spool.read(id) for id in log.spool.list()]
            return [record for record in found if record is not None]

        yield read


def open_openai(vendors: Upstream, name: str = "openai", **options: Any) -> openai.OpenAI:
    options = {"api_key": "k", "max_retries": 0, **options}
    return openai.OpenAI(base_url=f"http://127.0.0.1:{vendors.port}/{name}/v1", **options)


def open_async(vendors: Upstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{vendors.port}/openai/v1", api_key="k")


def test_the_client_stays_what_it_is(vendors: Upstream, records: Any) -> None:
    """`wrap` returns the same object, keeps the types of answers, and works only once."""
    with open_openai(vendors) as client:
        assert briggs.wrap(client) is client
        assert briggs.wrap(client) is client
        answer = client.chat.completions.create(model="m", messages=MESSAGES)
        raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert isinstance(answer, ChatCompletion)
    assert raw.parse().id == answer.id
    assert len(records()) == 2
    assert json.loads(records()[0].request) == {"model": "m", "messages": MESSAGES}
    assert json.loads(records()[0].received) == create_response("Hello")


def test_what_the_program_gets_arrives_at_the_server(
    server: RunningServer, vendors: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole and streamed calls of both packages are recorded with their content."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.Client(server.url, server.api_key) as reader,
        open_openai(vendors) as chat,
        anthropic.Anthropic(
            base_url=f"http://127.0.0.1:{vendors.port}/anthropic", api_key="k"
        ) as claude,
    ):
        briggs.wrap(chat)
        briggs.wrap(claude, tags=["claude"])
        with briggs.session("wrapped", tags=["all"]) as session:
            chat.chat.completions.create(model="m", messages=MESSAGES)
            list(chat.chat.completions.create(model="m", messages=MESSAGES, stream=True))
            claude.messages.create(model="c", messages=MESSAGES, max_tokens=9)
            with claude.messages.stream(model="c", messages=MESSAGES, max_tokens=9) as stream:
                assert stream.get_final_text() == "Hello"
        assert briggs.flush() == 0
        found = [item for item in list_all(reader) if item["session_id"] == "wrapped"]
        last = reader.completions.retrieve(found[3]["id"], include=["received"])
    assert [item["said"] for item in found] == ["Hello"] * 4
    assert [item["stream"] for item in found] == [False, True, False, True]
    assert [item["tags"] for item in found] == [["all"], ["all"], *[["all", "claude"]] * 2]
    assert {item["status"] for item in found} == {"finished"}
    assert session.last_completion_id == last.id
    assert last.choices[0]["finish_reason"] == "stop"
    assert json.loads(last.briggs.received or "")["content"] == [{"type": "text", "text": "Hello"}]
    assert (last.briggs.prompt_tokens, last.briggs.completion_tokens) == (3, 2)


def test_other_kinds_of_calls(
    server: RunningServer, vendors: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings are recorded without vectors, and text completions with their texts."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.Client(server.url, server.api_key) as reader,
        briggs.wrap(open_openai(vendors, "embeds"), tags=["kinds"]) as embedder,
        briggs.wrap(open_openai(vendors, "texts"), tags=["kinds"]) as writer,
    ):
        assert embedder.embeddings.create(model="e", input="one").data[0].embedding == [3.0, 0.5]
        assert writer.completions.create(model="m", prompt="hi").choices[0].text == "Hello"
        stream = writer.completions.create(model="m", prompt="hi", stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == "Hello"
        assert briggs.flush() == 0
        found = [*reader.completions.iterate(status="any", tags=["kinds"], order="asc")]
    embedding, *texts = found
    assert embedding.briggs.kind == "embedding"
    assert embedding.extra["response"]["data"] == [
        {"object": "embedding", "index": 0, "dimensions": 2}
    ]
    assert (embedding.briggs.prompt_tokens, embedding.briggs.completion_tokens) == (5, 0)
    assert [each.briggs.kind for each in texts] == ["completion"] * 2
    assert [each.choices[0]["message"]["content"] for each in texts] == ["Hello"] * 2
    assert {each.briggs.status for each in found} == {"finished"}


def test_streams_stay_streams(vendors: Upstream, records: Any) -> None:
    """A stream that is iterated, closed early or read raw is unchanged and recorded."""
    with briggs.wrap(open_openai(vendors)) as client:
        create = client.chat.completions.create
        with create(model="m", messages=MESSAGES, stream=True) as stream:
            assert isinstance(stream, openai.Stream)
            said = [chunk.choices[0].delta.content for chunk in stream]
        left = create(model="m", messages=MESSAGES, stream=True)
        next(iter(left))
        left.close()
        with client.chat.completions.with_streaming_response.create(
            model="m", messages=MESSAGES
        ) as raw:
            assert json.loads(raw.read())["object"] == "chat.completion"
    assert said == ["Hel", "lo", None]
    whole, half, read = records()
    assert whole.received.endswith(b"data: [DONE]\n\n")
    assert (half.status, half.failure_kind) == ("failed", "hang_up")
    assert b"Hel" in half.received and b"[DONE]" not in half.received
    assert json.loads(read.received) == create_response("Hello")


def test_errors_stay_errors(vendors: Upstream, records: Any) -> None:
    """A refusal and an unreachable address raise the same errors as before, and are recorded."""
    with briggs.wrap(open_openai(vendors, "refuses")) as client:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="no, thank you"):
                client.chat.completions.create(model="m", messages=MESSAGES, stream=stream)
    with (
        briggs.wrap(openai.OpenAI(base_url=NOBODY, api_key="k", max_retries=1)) as nowhere,
        pytest.raises(openai.APIConnectionError),
    ):
        nowhere.chat.completions.create(model="m", messages=MESSAGES)
    found = [(record.status, record.failure_kind, record.failure_reason) for record in records()]
    refused = ("failed", "upstream_400", "no, thank you")
    assert found[:2] == [refused, refused]
    assert [kind for _, kind, _ in found[2:]] == ["ConnectError", "ConnectError"]


def test_tools_and_parsing_need_nothing(records: Any) -> None:
    """Tools and their calls are recorded, and `parse` still returns its model."""

    class Sum(pydantic.BaseModel):
        total: int

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=create_response('{"total": 46}'))

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with briggs.wrap(openai.OpenAI(api_key="k", http_client=http)) as client:
        parsed = client.chat.completions.parse(
            model="m",
            messages=MESSAGES,
            response_format=Sum,
            tools=[openai.pydantic_function_tool(Sum)],
        )
    assert parsed.choices[0].message.parsed == Sum(total=46)
    [record] = records()
    sent = json.loads(record.request)
    assert sent["tools"][0]["function"]["name"] == "Sum"
    assert sent["response_format"]["json_schema"]["name"] == "Sum"


def test_compressed_answers_are_read(records: Any) -> None:
    """A compressed answer is recorded uncompressed, whole and streamed."""

    class Pieces(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            body = gzip.compress(create_chunk({"content": "Hi"}) + b"data: [DONE]\n\n")
            yield body[:20]
            yield body[20:]

    def answer(request: httpx2.Request) -> httpx2.Response:
        packed = {"content-encoding": "gzip"}
        if b'"stream":true' not in request.content:
            body = gzip.compress(json.dumps(create_response("Hi")).encode())
            return httpx2.Response(200, headers=packed, content=body)
        events = {**packed, "content-type": "text/event-stream"}
        return httpx2.Response(200, headers=events, stream=Pieces())

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with briggs.wrap(openai.OpenAI(api_key="k", http_client=http)) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
        list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    whole, streamed = records()
    assert json.loads(whole.received) == create_response("Hi")
    assert streamed.received == create_chunk({"content": "Hi"}) + b"data: [DONE]\n\n"


SCRIPT = """
import os, signal, sys
import briggs, openai
client = briggs.wrap(openai.OpenAI(base_url=sys.argv[1], api_key="k"))
with briggs.session("killed", tags=["all"]):
    ask = {"model": "m", "messages": [{"role": "user", "content": "one two"}], "stream": True}
    assert list(client.chat.completions.create(**ask))
    next(iter(client.chat.completions.create(**ask)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_stream_that_is_read_at_the_death_of_its_process_is_recorded(
    server: RunningServer, vendors: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `kill -9` within a stream, the request is recorded as a started call."""
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"http://127.0.0.1:{vendors.port}/openai/v1"],
        env={
            **os.environ,
            "BRIGGS_SPOOL": str(tmp_path),
            "BRIGGS_URL": server.url,
            "BRIGGS_API_KEY": server.api_key,
        },
        timeout=PATIENCE_S,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.Client(server.url, server.api_key) as reader,
    ):
        assert briggs.flush() == 0
        found = [item for item in list_all(reader) if item["session_id"] == "killed"]
    assert [item["status"] for item in found] == ["finished", "started"]
    assert found[1]["request"] == {"model": "m", "messages": MESSAGES, "stream": True}
    assert found[1]["tags"] == ["all"]


def test_a_stream_may_end_after_its_beginning_was_sent(
    server: RunningServer, vendors: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long stream is recorded as started, and as finished at its end."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.Client(server.url, server.api_key) as reader,
        briggs.wrap(open_openai(vendors)) as client,
        briggs.session("long"),
    ):
        stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        found = []
        for read in (next, list):
            assert read(stream)
            assert briggs.flush() == 0
            found += [item for item in list_all(reader) if item["session_id"] == "long"]
    assert [(item["status"], item["said"]) for item in found] == [
        ("started", ""),
        ("finished", "Hello"),
    ]
    assert found[0]["id"] == found[1]["id"]


def test_copies_of_anthropics_client(vendors: Upstream, records: Any) -> None:
    """A copy with its own HTTP client is recorded with the same tags."""
    url = f"http://127.0.0.1:{vendors.port}/anthropic"
    with briggs.wrap(anthropic.Anthropic(base_url=url, api_key="k"), tags=["all"]) as client:
        for name in ("with_options", "copy"):
            own = getattr(client, name)(http_client=anthropic.DefaultHttpxClient())
            with own as copy:
                copy.messages.create(model="c", messages=MESSAGES, max_tokens=9)
    assert [record.tags for record in records()] == [["all"], ["all"]]


async def test_async_calls_do_not_mix(vendors: Upstream, records: Any) -> None:
    """Concurrent calls are recorded each with its own request, answer and tags."""
    client = briggs.wrap(open_async(vendors))

    async def ask(name: str, stream: bool) -> None:
        with briggs.tags(name):
            answer: Any = await client.chat.completions.create(
                model=name, messages=MESSAGES, stream=stream
            )
            if stream:
                async for _ in answer:
                    pass

    async with client:
        await asyncio.gather(*(ask(f"m-{number}", number % 2 == 0) for number in range(20)))
        left = await client.chat.completions.create(model="left", messages=MESSAGES, stream=True)
        async with left:
            async for _ in left:
                break
    found = {json.loads(record.request)["model"]: record for record in records()}
    assert len(found) == 21
    for name, record in found.items():
        if name != "left":
            told = json.loads(tell(record))
            assert (told["tags"], told["status"]) == ([name], "finished")
            assert told["response"]["choices"][0]["message"]["content"] == "Hello"
    assert found["left"].failure_kind == "hang_up"


async def test_a_cancelled_call_is_recorded(records: Any) -> None:
    """Cancelling a task within a call still works, and the call is recorded."""
    begun = asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    async with briggs.wrap(openai.AsyncOpenAI(api_key="k", http_client=http)) as client:
        call = asyncio.ensure_future(client.chat.completions.create(model="m", messages=MESSAGES))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [record.failure_kind for record in records()] == ["hang_up"]


def test_what_is_no_completion_is_not_recorded(vendors: Upstream, records: Any) -> None:
    """Other requests, such as lists of models, are not recorded."""
    with briggs.wrap(open_openai(vendors)) as client:
        client.models.list()
    assert records() == []


def test_a_call_to_briggs_is_recorded_once(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call to a Briggs server is recorded once, with the tags and the session."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.Client(server.url, server.api_key) as reader,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.api_key) as client,
    ):
        briggs.wrap(client)
        with briggs.session("gateway", tags=["through"]) as session:
            client.chat.completions.create(model="mine/echo", messages=MESSAGES)
        assert briggs.flush() == 0
        [found] = [item for item in list_all(reader) if item["session_id"] == "gateway"]
    assert (found["source"], found["tags"]) == ("gateway", ["through"])
    assert session.last_completion_id == found["id"]


def test_the_record_says_where_the_call_was_made(vendors: Upstream, records: Any) -> None:
    """The recorded stack ends in the program, not in the client's packages."""
    with briggs.wrap(open_openai(vendors)) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
    frame = records()[0].stacktrace[-1]
    assert (frame["file"], frame["name"]) == (
        __file__,
        "test_the_record_says_where_the_call_was_made",
    )


def test_what_cannot_be_wrapped_says_so() -> None:
    """Wrapping any other object raises an error that names the alternative."""
    with pytest.raises(TypeError, match=r"briggs\.log"):
        briggs.wrap(object())
