"""No request and no answer keeps other callers waiting for long."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

import pytest

from tests.api.log10.test_graphql import TEST_RUN, ask
from tests.api.turns import Turns
from tests.processes import Behaviour, Seen, Server, Upstream, _Handler, create_response, run_server

# Without its limit, each of the calls below takes several times as long in one turn of the event
# loop, in seconds of CPU.
TURN_MAX_S = 0.7
COUNT = 2_000_000
MESSAGES = [{"role": "user", "content": "hi"}]
CHUNK = 'data: {"choices":[{"delta":{"content":"","reasoning":"%s"}}]}\n\n'
CHUNKS = 60_000
LAST = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _send_stream(chunks: int) -> Behaviour:
    """A stream that comes compressed, and so all at once."""
    # Text that does not repeat: what compresses too well is refused.
    texts = random.Random(7).randbytes(2 * chunks).hex("-", 2).split("-")
    body = gzip.compress("".join(CHUNK % text for text in texts).encode() + LAST)

    def behave(handler: _Handler, seen: Seen) -> None:
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        handler.send_whole(200, body, headers)

    return behave


def _create_blocks() -> bytes:
    """An answer of Anthropic's with 100,000 texts."""
    blocks = [{"type": "text", "text": "a"}] * 100_000
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": blocks,
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    ).encode()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    whole = json.dumps(create_response()).encode()
    blocks = _create_blocks()
    upstream = Upstream(
        {
            "whole": lambda handler, seen: handler.send_whole(200, whole),
            "stream": _send_stream(CHUNKS),
            "blocks": lambda handler, seen: handler.send_whole(200, blocks),
        }
    )
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Turns:
    return Turns(tmp_path_factory.mktemp("turns") / "turns")


@pytest.fixture(scope="module")
def server(
    upstream: Upstream, turns: Turns, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    url = f"http://127.0.0.1:{upstream.port}/blocks"
    config = f'{upstream.config()}[providers.claude]\nkind = "anthropic"\nbase_url = "{url}"\n'
    data = tmp_path_factory.mktemp("turns") / "data"
    with run_server(data, config=config, prefix=turns.prefix) as server:
        yield server


def find_longest_turn(server: Server, turns: Turns) -> float:
    """Of the event loop, since this was asked last, in seconds of CPU."""
    # It is written down at the next beat, which comes before the next request.
    server.send("GET", "/health")
    return max(turns.read(), default=0)


def _join(member: str) -> bytes:
    return ",".join(member % number for number in range(COUNT)).encode()


@pytest.mark.parametrize(
    ("member", "around"),
    [('"k%d":1', b"%b"), ('"k%d":"v"', b'"metadata":{%b}'), ('"%d":1', b'"logit_bias":{%b}')],
    ids=["members", "metadata", "logit_bias"],
)
def test_request_with_millions_of_values(
    server: Server, turns: Turns, member: str, around: bytes
) -> None:
    """A chat request with millions of members is refused while others are answered."""
    given = around % _join(member)
    request = b'{"model":"whole/m","messages":[{"role":"user","content":"hi"}],%b}' % given
    find_longest_turn(server, turns)
    reply = server.chat(request)
    assert reply.status == 400
    assert "send fewer" in reply.json["error"]["message"]
    assert 0 < find_longest_turn(server, turns) < TURN_MAX_S


def test_long_text_is_not_counted(server: Server) -> None:
    """Commas, quotation marks and backslashes in a text are not values."""
    text = 'a, "b", \\ ' * 300_000
    reply = server.chat({"model": "whole/m", "messages": [{"role": "user", "content": text}]})
    assert reply.status == 200


def test_report_with_millions_of_members(server: Server, turns: Turns) -> None:
    """A reported call with millions of members is recorded while others are answered."""
    report = b'{"status":"finished","session_id":"s",%b}' % _join('"k%d":1')
    find_longest_turn(server, turns)
    reply = server.send("POST", "/api/v1/completions", report)
    assert reply.status == 200
    assert reply.json["session_id"] == "s"
    assert 0 < find_longest_turn(server, turns) < TURN_MAX_S


def test_many_chunks_in_one_read(server: Server, turns: Turns) -> None:
    """A stream that comes all at once is passed on whole, and others are answered meanwhile."""
    request = {"model": "stream/m", "messages": MESSAGES, "stream": True}
    find_longest_turn(server, turns)
    reply = server.chat(request)
    assert reply.body.count(b'"reasoning":"') == CHUNKS
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert server.find(reply, "received")["briggs"]["finish_reasons"] == ["stop"]
    assert 0 < find_longest_turn(server, turns) < TURN_MAX_S


def test_answer_of_many_parts(server: Server, turns: Turns) -> None:
    """An answer that takes seconds to translate is passed on while others are answered."""
    request = {"model": "claude/m", "messages": MESSAGES, "max_tokens": 5}
    find_longest_turn(server, turns)
    reply = server.chat(request)
    assert reply.json["choices"][0]["message"]["content"] == "a" * 100_000
    assert 0 < find_longest_turn(server, turns) < TURN_MAX_S


def test_large_report_of_a_test_run(server: Server, turns: Turns) -> None:
    """A report of 30 MB is checked while others are answered, and comes back unchanged."""
    variables = {"input": {"name": "large", "organizationId": "default"}}
    run = ask(server, TEST_RUN, variables)["data"]["createTestRun"]
    address = run["reportUploadUrl"].removeprefix(server.url)
    report = b'{"half": "\\ud83d", "digits": %b, "a": [%b]}' % (
        b"1" * 100,
        b",".join([b'{"b": [1, 2]}'] * 2_000_000),
    )
    find_longest_turn(server, turns)
    assert server.send("PUT", address, report, key=None).status == 200
    assert 0 < find_longest_turn(server, turns) < TURN_MAX_S
    got = server.send("GET", f"/api/v1/test_runs/{run['id']}").body
    assert report in got
