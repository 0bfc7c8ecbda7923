"""An upstream never takes more memory than `limits.answer_bytes_max` allows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import endless
from tests.processes import (
    Behaviour,
    Seen,
    Server,
    Upstream,
    _Handler,
    create_chunk,
    create_response,
    run_server,
)
from tests.waiting import wait_for

ANSWER_BYTES_MAX = 1_000_000
# What a call may take in addition to its answer, which is limited to 1 MB: copies, and JSON.
GROWTH_MB_MAX = 40
MESSAGES = [{"role": "user", "content": "hi"}]
REFUSED = {"upstream_too_large", "upstream_truncated", "upstream_invalid"}


def _name(kind: str, title: str) -> str:
    return f"{kind}-{title.replace(' ', '-')}"


def _list_behaviours() -> dict[str, Behaviour]:
    kinds = {
        "openai": endless.WHOLE,
        "openai-stream": endless.STREAMS,
        "ollama": endless.LINES,
        "bedrock": endless.FRAMES,
    }
    return {
        _name(kind, title): behaviour
        for kind, behaviours in kinds.items()
        for title, behaviour in behaviours.items()
    }


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream({**_list_behaviours(), "after-the-end": endless.AFTER_THE_END})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = f"[limits]\nanswer_bytes_max = {ANSWER_BYTES_MAX}\n"
    for name in upstream.behaviours:
        kind = name.split("-")[0]
        kind = kind if kind in ("ollama", "bedrock") else "openai"
        path = "" if kind in ("ollama", "bedrock") else "/v1"
        config += (
            f'[providers."{name}"]\nkind = "{kind}"\n'
            f'base_url = "http://127.0.0.1:{upstream.port}/{name}{path}"\n'
        )
        config += 'region = "eu-north-1"\n' if kind == "bedrock" else ""
    environment = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    data = tmp_path_factory.mktemp("endless") / "data"
    with run_server(data, config=config, environment=environment) as server:
        server.chat({"model": "local/briggs-tiny", "messages": MESSAGES, "max_tokens": 1})
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
        yield server


@pytest.fixture(scope="module", autouse=True)
def began_mb(server: Server) -> float:
    """The memory of the process before anything large came."""
    return read_memory_mb(server, "VmRSS")


def read_memory_mb(server: Server, name: str) -> float:
    """`VmRSS`, the current memory of the process, or `VmHWM`, its highest so far."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(name)]
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("name", sorted(_list_behaviours()))
def test_what_has_no_end_is_refused_and_recorded(server: Server, name: str) -> None:
    """The caller gets an error, the record says why, and the process has hardly grown."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before_mb = read_memory_mb(server, "VmRSS")
    is_whole = name in [_name("openai", title) for title in endless.WHOLE]
    reply = server.chat({"model": f"{name}/m", "messages": MESSAGES, "stream": not is_whole})
    assert reply.status in (200, 502), reply.body
    last = reply.body.removesuffix(b"\n\n").rpartition(b"data: ")[2]
    error = json.loads(last)["error"]
    assert error["code"] in REFUSED
    record = server.find(reply)["briggs"]
    assert (record["status"], record["failure_kind"]) == ("failed", error["code"])
    assert read_memory_mb(server, "VmHWM") - before_mb < GROWTH_MB_MAX


def test_an_answer_that_is_too_large_says_what_to_do(server: Server) -> None:
    """The error names the setting and stops retries. The beginning of the answer is kept."""
    reply = server.chat({"model": "openai-a-string/m", "messages": MESSAGES})
    error = reply.json["error"]
    assert (reply.status, error["code"]) == (502, "upstream_too_large")
    assert f"{ANSWER_BYTES_MAX} bytes" in error["message"]
    assert "limits.answer_bytes_max" in error["message"]
    assert reply.headers["x-should-retry"] == "false"
    received = server.find(reply, "received")["briggs"]["received"]
    assert received.startswith('{"id": "xxxx')
    assert len(received) <= 64 * 1024


def test_what_follows_the_end_of_a_stream_is_not_waited_for(server: Server) -> None:
    """A flood of comments after `[DONE]` changes nothing: the answer is whole."""
    reply = server.chat({"model": "after-the-end/m", "messages": MESSAGES, "stream": True})
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert server.find(reply)["briggs"]["status"] == "finished"


def test_pages_of_models_that_have_no_end_are_bounded(server: Server, upstream: Upstream) -> None:
    """A list that is too large is left out, and the others are shown."""
    name = next(iter(upstream.behaviours))
    upstream.models[name] = b'{"data": [' + b'{"id": "m"},' * 1_000_000 + b'{"id": "m"}]}'
    before_mb = read_memory_mb(server, "VmRSS")
    reply = server.send("GET", "/v1/models")
    assert reply.status == 200
    assert "local/briggs-tiny" in [model["id"] for model in reply.json["data"]]
    assert read_memory_mb(server, "VmHWM") - before_mb < GROWTH_MB_MAX


def test_memory_is_given_back(server: Server, began_mb: float) -> None:
    """Some time after the last large answer, the process is about as small as before."""
    wait_for(lambda: read_memory_mb(server, "VmRSS") <= began_mb + 50)


def test_choices_that_are_not_asked_for_take_nothing(server: Server) -> None:
    """A billion choices are refused before the number is used."""
    before_mb = read_memory_mb(server, "VmHWM")
    for number in (10**9, 2**31, 2**64, 10**30):
        reply = server.chat({"model": "local/briggs-tiny", "messages": MESSAGES, "n": number})
        error = reply.json["error"]
        assert (reply.status, error["param"]) == (400, "n")
        assert (error["type"], error["code"]) == (
            "invalid_request_error",
            "integer_above_max_value",
        )
    assert read_memory_mb(server, "VmHWM") - before_mb < 5


@pytest.mark.parametrize("stream", [False, True])
def test_numbers_that_no_column_holds_are_no_defect(tmp_path: Path, stream: bool) -> None:
    """Whatever number a count, an index or a time has, the call is answered and recorded."""

    def answer(handler: _Handler, seen: Seen) -> None:
        number = seen.json["seed"]
        usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), number)
        response = create_response(usage=usage, created=number)
        if not seen.json.get("stream"):
            handler.send_whole(200, json.dumps(response).encode())
            return
        handler.begin_stream()
        chunk = json.loads(create_chunk({"role": "assistant", "content": "a"})[6:])
        chunk["choices"][0]["index"] = number
        chunk |= {"created": number, "usage": usage}
        handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        chunk["choices"][0] |= {"delta": {}, "finish_reason": "stop"}
        handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
        handler.write_piece(b"")

    upstream = Upstream({"numbers": answer})
    with (
        contextlib.closing(upstream),
        run_server(tmp_path / "d", config=upstream.config()) as server,
    ):
        for number in (2**63, 2**64, 10**40, -(2**70)):
            reply = server.chat(
                {"model": "numbers/m", "messages": MESSAGES, "seed": number, "stream": stream}
            )
            assert reply.status == 200, reply.body
            record = server.find(reply)
            assert record["briggs"]["status"] == "finished"
            assert record["briggs"]["cost_usd"] is None
            assert 1_600_000_000 < record["created"] < 2_000_000_000
