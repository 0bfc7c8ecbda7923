"""The client's calls, each against the real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading

import pytest

from briggs.client import (
    AsyncClient,
    AuthenticationFailed,
    CompletionFilters,
    ConnectionLost,
    InvalidAnswer,
    InvalidCall,
    NotFound,
    Refused,
    ServerUnreachable,
    StoredCompletion,
)
from briggs.client import connection as client_connection
from briggs.types.fold import fold
from briggs.types.json import encode
from tests.cli.running import RunningServer
from tests.cli.upstream import go_on, open_upstream

MESSAGES = [{"role": "user", "content": "one two three"}]


def open_client(server: RunningServer) -> AsyncClient:
    return AsyncClient(server.url, server.api_key)


async def test_whole_answer_is_typed(server: RunningServer) -> None:
    """A whole answer is a CreateChatCompletionResponse."""
    async with open_client(server) as client:
        answer = await client.chat.completions.create(model="mine/echo", messages=MESSAGES)
    assert answer.choices[0].message.content == "You said: one two three"
    assert answer.choices[0].finish_reason == "stop"


async def test_stream_spells_the_record(server: RunningServer) -> None:
    """The folded chunks equal the answer recorded under the stream's completion_id."""
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/echo", messages=MESSAGES, stream=True, logprobs=True, tags=["a", "b"]
        )
        chunks = [chunk async for chunk in stream]
        assert stream.completion_id is not None
        item = await client.completions.retrieve(stream.completion_id)
    assert len(chunks) > 3
    assert item.to_response().choices == fold(chunks).choices
    assert item.briggs.tags == ["a", "b"]
    assert item.briggs.stream


async def test_hanging_up_fails_the_call(server: RunningServer) -> None:
    """If the caller leaves a stream early, the call is recorded as failed, with the text so far."""
    go_on.clear()
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/held", messages=MESSAGES, stream=True, session_id="hangs-up"
        )
        async with stream:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
        assert stream.completion_id is not None
        item = await retrieve_settled(client, stream.completion_id)
    go_on.set()
    assert item.briggs.status == "failed"
    assert item.choices[0]["message"]["content"] == "You"


async def retrieve_settled(client: AsyncClient, id: str) -> StoredCompletion:
    """The completion, after the server has noticed that the caller left."""
    for _ in range(200):
        with contextlib.suppress(NotFound):
            item = await client.completions.retrieve(id)
            if item.briggs.status != "started":
                return item
        await asyncio.sleep(0.05)
    raise AssertionError(f"{id} never settled")


async def test_cut_stream_is_no_success(server: RunningServer) -> None:
    """A stream that its upstream cuts short yields what came, and then raises."""
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/cut", messages=MESSAGES, stream=True
        )
        with pytest.raises((Refused, ConnectionLost)):
            [chunk async for chunk in stream]


@pytest.mark.parametrize("stream", [False, True])
async def test_refusal_says_what_the_server_says(server: RunningServer, stream: bool) -> None:
    """A refused call raises the server's message, status and code, and the completion's id."""
    async with open_client(server) as client:
        with pytest.raises(Refused, match="no, thank you") as refusal:
            await client.chat.completions.create(
                model="mine/refuses", messages=MESSAGES, stream=stream
            )
        assert (refusal.value.status, refusal.value.code) == (400, "refused")
        assert refusal.value.completion_id is not None
        item = await client.completions.retrieve(refusal.value.completion_id)
    assert item.briggs.status == "failed"


async def test_iterate_turns_pages(server: RunningServer) -> None:
    """`iterate` yields every match exactly once, over several pages."""
    async with open_client(server) as client:
        asked = [
            client.chat.completions.create(model="mine/echo", messages=MESSAGES, session_id="pages")
            for _ in range(103)
        ]
        await asyncio.gather(*asked)
        found = [item.id async for item in client.completions.iterate(session_id="pages")]
        newest = client.completions.iterate(session_id="pages", order="desc", limit=102)
        assert [item.id async for item in newest] == found[:0:-1]
    assert len(set(found)) == len(found) == 103


async def test_a_page_may_hold_lone_surrogates(server: RunningServer) -> None:
    """A lone surrogate, which JSON allows and UTF-8 does not, is read and written again."""
    content = "half \ud83d of it"
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/echo",
            messages=MESSAGES,
            stream=True,
            unknown=content,
            session_id="surrogates",
        )
        assert [chunk async for chunk in stream]
        filters: CompletionFilters = {"session_id": "surrogates", "include": ["request"]}
        (item,) = [item async for item in client.completions.iterate(**filters)]
        (line,) = [line async for line in client.completions.download(**filters)]
    assert item.briggs.request["unknown"] == content
    assert json.loads(line)["briggs"]["request"]["unknown"] == content


async def test_filters_are_and(server: RunningServer) -> None:
    """A completion must match every given filter."""
    async with open_client(server) as client:
        for tags, model in (
            (["x"], "mine/echo"),
            (["x", "y"], "mine/echo"),
            (["y"], "mine/thinks"),
        ):
            await client.chat.completions.create(
                model=model, messages=MESSAGES, tags=tags, session_id="filters"
            )

        async def count(**filters: object) -> int:
            page = await client.completions.list(session_id="filters", **filters)  # type: ignore[arg-type]
            return len(page.data)

        assert await count() == 3
        assert await count(tags=["x", "y"]) == 1
        assert await count(tags=["y"], model="mine/thinks") == 1
        assert await count(provider="nobody") == 0
        assert await count(text="three", model="mine/echo") == 2
        assert await count(created_from=4e9) == 0
        assert await count(created_to=4e9, status="any") == 3


async def test_update_and_delete(server: RunningServer) -> None:
    """Metadata can be replaced and searched. A deleted completion is not found."""
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/echo", messages=MESSAGES, stream=True
        )
        assert [chunk async for chunk in stream]
        id = stream.completion_id or ""
        updated = await client.completions.update(id, metadata={"a b": "c&d"})
        assert updated.metadata == {"a b": "c&d"}
        page = await client.completions.list(metadata={"a b": "c&d"})
        assert [item.id for item in page.data] == [id]
        assert (await client.completions.delete(id)).deleted
        with pytest.raises(NotFound, match=id):
            await client.completions.retrieve(id)


async def test_included_request_is_whole(server: RunningServer) -> None:
    """An item listed with its request has it as JSON, and encodes it again."""
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/echo", messages=MESSAGES, stream=True, seed=2**60, unknown={"a": None}
        )
        assert [chunk async for chunk in stream]
        item = await client.completions.retrieve(
            stream.completion_id or "", include=["request", "received"]
        )
    assert item.briggs.request["seed"] == 2**60
    assert item.briggs.request["unknown"] == {"a": None}
    assert "[DONE]" in item.briggs.received
    assert b'"unknown":{"a":null}' in encode(item)


async def test_models(server: RunningServer) -> None:
    """Models are listed, and can be retrieved by an id with a slash."""
    async with open_client(server) as client:
        listed = [model.id for model in (await client.models.list()).data]
        assert "mine/echo" in listed
        assert (await client.models.retrieve("mine/echo")).id == "mine/echo"
        with pytest.raises(NotFound):
            await client.models.retrieve("mine/nobody")


async def test_keys(server: RunningServer) -> None:
    """A key works until it is revoked. No list shows its secret."""
    async with open_client(server) as client:
        key = await client.keys.create("of a test")
        assert isinstance(key.value, str)
        async with AsyncClient(server.url, key.value) as other:
            assert (await other.models.list()).data
            listed = (await client.keys.list()).data
            assert key.id in [each.id for each in listed]
            assert key.value.encode() not in encode(listed)
            assert (await client.keys.revoke(key.id)).deleted
            with pytest.raises(AuthenticationFailed):
                await other.models.list()


async def test_what_no_header_can_hold_is_refused(server: RunningServer) -> None:
    """A tag or a key with a line break is refused before anything is sent, and not quoted."""
    async with open_client(server) as client:
        with pytest.raises(InvalidCall, match="x-briggs-tags"):
            await client.chat.completions.create(
                model="mine/echo", messages=MESSAGES, tags=["a\nx-briggs-session: b"]
            )
    async with AsyncClient(server.url, "sk-briggs-secret\n") as client:
        with pytest.raises(InvalidCall) as refusal:
            await client.models.list()
    assert "secret" not in str(refusal.value)


async def test_nobody_there() -> None:
    """If no server listens, the error names the address and how to start one."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with AsyncClient(url + "/v1/") as client:
            with pytest.raises(ServerUnreachable) as error:
                await client.models.list()
    assert str(error.value) == f"no Briggs server answers at {url}: start one with `briggs serve`"


async def test_tags_of_any_script(server: RunningServer) -> None:
    """Tags and sessions are recorded with all their characters."""
    async with open_client(server) as client:
        stream = await client.chat.completions.create(
            model="mine/echo",
            messages=[{"role": "user", "content": "x"}],
            stream=True,
            tags=["日本語", "é"],
            session_id="сессия",
        )
        assert [chunk async for chunk in stream]
        details = (await client.completions.retrieve(stream.completion_id or "")).briggs
    assert (details.tags, details.session_id) == (["日本語", "é"], "сессия")


async def test_somebody_else_is_there() -> None:
    """An answer that Briggs would not give raises an InvalidAnswer that names the address."""
    with open_upstream() as upstream:
        async with AsyncClient(upstream) as client:
            with pytest.raises(InvalidAnswer, match="is not a Briggs server"):
                await client.keys.list()


def _flood(wire: bytes, forever: bytes) -> str:
    """The address of a server that sends one answer with this head and about 100 MB of body."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener, contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + wire)
                for _ in range(100):
                    connection.sendall(forever * (1_000_000 // len(forever)))

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_an_answer_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error about an answer that is too large names the server's address."""
    monkeypatch.setattr(client_connection, "ANSWER_BYTES_MAX", 1_000_000)
    url = _flood(b"content-type: application/json\r\n\r\n", b" ")
    async with AsyncClient(url) as client:
        with pytest.raises(InvalidAnswer, match="too large"):
            await client.keys.list()


async def test_an_event_without_an_end() -> None:
    """A stream with an event that is too large raises InvalidAnswer."""
    url = _flood(b"content-type: text/event-stream\r\n\r\ndata: ", b"x")
    messages = [{"role": "user", "content": "hi"}]
    async with AsyncClient(url) as client:
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        with pytest.raises(InvalidAnswer, match="larger than"):
            async for _ in stream:
                pass


async def test_an_export_goes_on_after_a_lost_connection() -> None:
    """The next request begins after the last line that arrived, and no line comes twice."""
    lines = [
        encode({"object": "briggs.completion", "id": str(number), "created_at": 1.0})
        for number in range(5)
    ]
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split(" ")[1].partition("?")[2])
        begin = 2 if asked[1:] else 0
        body = b"\n".join([*lines[begin : begin + 2], *(lines[4:] if begin else ()), b""])
        # The first answer breaks off in the middle of a line.
        part = body if begin else body + lines[2][:10]
        chunked = b"%x\r\n%s\r\n" % (len(part), part) + (b"0\r\n\r\n" if begin else b"")
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + chunked
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncClient(f"http://127.0.0.1:{port}", "key") as client:
        got = [line async for line in client.completions.export(tags=["a"])]
    assert got == lines
    assert asked == ["status=any&tag=a", "status=any&tag=a&after=1"]


async def test_watching_a_run_goes_on_after_a_lost_connection() -> None:
    """A worker that dies takes the connection along, and another one knows how far the run is."""
    asked: list[str] = []
    counts = {"total": 3, "failed": 0, "cached": 0, "unpriced": 0, "cost_usd": 0, "failure": ""}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split(" ")[1])
        is_over = len(asked) > 1
        line = {"status": "finished" if is_over else "running", "answered": len(asked), **counts}
        part = encode(line) + b"\n"
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
            b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"%x\r\n%s\r\n" % (len(part), part) + (b"0\r\n\r\n" if is_over else b"")
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncClient(f"http://127.0.0.1:{port}", "key") as client:
        got = [(each.status, each.answered) async for each in client.eval_runs.watch("a")]
    assert got == [("running", 1), ("finished", 2)]
    assert asked == ["/api/v1/eval_runs/a/progress"] * 2
