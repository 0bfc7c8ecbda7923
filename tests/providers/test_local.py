"""The built-in model, through the real server and a real child process."""

from __future__ import annotations

import json
import math
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.processes import Server, read_frames, run_server

MODEL = "local/briggs-tiny"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a file, as it is right after installation."""
    with run_server(tmp_path_factory.mktemp("local") / "data") as server:
        yield server


def ask(server: Server, text: str, **members: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    reply = server.chat({"model": MODEL, "messages": messages, "temperature": 0, **members})
    assert reply.status == 200, reply.body
    return dict(reply.json)


def find_children(server: Server) -> list[int]:
    """The processes that a server has started."""
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if _read_parent(path) == server.process.pid
    ]


def find_ports(process: int) -> list[int]:
    """The ports on loopback, and on nothing else, that a process listens on."""
    sockets = {str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir()}
    rows = [line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    listening = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert all(row[1].startswith("0100007F:") for row in listening)
    return [int(row[1].partition(":")[2], 16) for row in listening]


def _read_parent(path: Path) -> int | None:
    try:
        state, parent = path.read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return int(parent) if state != "Z" else None


def test_answers(local: Server) -> None:
    """The model answers a sum, and it is a bare name's default where no other provider is."""
    answer = ask(local, "What is 12 + 34?")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert "46" in answer["choices"][0]["message"]["content"]
    reply = local.chat({"model": "briggs-tiny", "messages": [{"role": "user", "content": "Hi"}]})
    assert reply.status == 200


@pytest.mark.parametrize(
    "tool_choice",
    [
        "required",
        {"type": "function", "function": {"name": "look"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    ],
)
def test_calls_that_must_be_made(local: Server, tool_choice: Any) -> None:
    """The built-in model calls no tools, so that a request that it must is refused."""
    messages = [{"role": "user", "content": "Hi"}]
    reply = local.chat({"model": MODEL, "messages": messages, "tool_choice": tool_choice})
    assert reply.status == 400
    assert reply.json["error"]["code"] == "unsupported_parameter"
    assert reply.json["error"]["param"] == "tool_choice"


@pytest.mark.parametrize("top_logprobs", [None, 0, 3])
def test_logprobs(local: Server, top_logprobs: int | None) -> None:
    """Probabilities are real: each at most 1, as many alternatives as asked, bytes that join."""
    asked = {} if top_logprobs is None else {"top_logprobs": top_logprobs}
    choice = ask(local, "What is 12 + 34?", logprobs=True, **asked)["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert tokens
    assert choice["logprobs"]["refusal"] is None
    assert (
        bytes(byte for token in tokens for byte in token["bytes"]).decode()
        == (choice["message"]["content"])
    )
    for token in tokens:
        assert 0 < math.exp(token["logprob"]) <= 1
        assert len(token["top_logprobs"]) <= (top_logprobs or 0)
        assert sum(math.exp(other["logprob"]) for other in token["top_logprobs"]) <= 1.001


def test_required_keys(local: Server) -> None:
    """What llama.cpp leaves out is null, as the specification wants it."""
    choice = ask(local, "What is 2 + 2?")["choices"][0]
    assert choice["logprobs"] is None
    assert choice["message"]["refusal"] is None


def test_seed(local: Server) -> None:
    """The same seed gives the same answer, whatever else is being asked."""
    said = {
        json.dumps(ask(local, "Who are you?", seed=7, temperature=1, max_tokens=40)["choices"])
        for _ in range(5)
    }
    assert len(said) == 1
    others = {
        ask(local, "Who are you?", seed=seed, temperature=2, max_tokens=40)["choices"][0][
            "message"
        ]["content"]
        for seed in range(8)
    }
    assert len(others) > 1


def test_stream(local: Server) -> None:
    """A stream spells what the whole answer says."""
    whole = ask(local, "What is Briggs?", max_tokens=60)["choices"][0]["message"]["content"]
    reply = local.chat(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "What is Briggs?"}],
            "temperature": 0,
            "max_tokens": 60,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    frames = read_frames(reply.body)
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    said = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(text or "" for text in said) == whole
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert local.find(reply)["choices"][0]["message"]["content"] == whole


def test_characters_of_many_bytes(local: Server) -> None:
    """An emoji, which is several tokens, comes out whole."""
    choice = ask(local, "Repeat: 😀", logprobs=True, top_logprobs=1)["choices"][0]
    assert "😀" in choice["message"]["content"]


def test_several_choices(local: Server) -> None:
    """`n` gives as many choices, numbered in order."""
    choices = ask(local, "Who are you?", n=3, temperature=1.5, max_tokens=20)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]


def test_official_client(local: Server) -> None:
    """OpenAI's package parses what the model says."""
    with openai.OpenAI(base_url=f"{local.url}/v1", api_key=local.key) as client:
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "What is 5 + 6?"}],
            temperature=0,
            logprobs=True,
        )
    assert answer.choices[0].logprobs is not None
    assert answer.usage is not None


def test_hang_up_frees_the_model(local: Server) -> None:
    """Who stops reading a long stream does not keep the next caller waiting."""
    with openai.OpenAI(base_url=f"{local.url}/v1", api_key=local.key) as client:
        for _ in range(6):
            stream = client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Hello"}],
                stream=True,
                extra_body={"ignore_eos": True},
            )
            next(iter(stream))
            stream.close()
    began = time.monotonic()
    ask(local, "What is 2 + 3?")
    assert time.monotonic() - began < 5


def test_restarted_when_it_dies(local: Server) -> None:
    """A model's process that was killed is started anew by the next call."""
    ask(local, "What is 2 + 3?")
    [child] = find_children(local)
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while find_children(local) and time.monotonic() < deadline:
        time.sleep(0.02)
    ask(local, "What is 2 + 3?")
    [other] = find_children(local)
    assert other != child


def test_nobody_else_may_ask_it(local: Server) -> None:
    """The process listens on loopback and answers nobody who lacks its key, nor shows it."""
    ask(local, "What is 2 + 3?")
    [child] = find_children(local)
    [port] = find_ports(child)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/x", b"{}", timeout=5)
    assert refused.value.code == 401
    refused.value.close()
    assert b"key" not in Path(f"/proc/{child}/cmdline").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_the_server(tmp_path: Path, number: int) -> None:
    """However the server ends, the model's process ends too."""
    with run_server(tmp_path / "data") as server:
        ask(server, "What is 2 + 3?")
        [child] = find_children(server)
        server.stop(number)
        deadline = time.monotonic() + 5
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not Path(f"/proc/{child}").exists()


def test_restarted_when_it_grows(tmp_path: Path) -> None:
    """A process past its limit is replaced, and calls go on being answered."""
    config = "[local]\nmemory_bytes_max = 1000000\n"
    with run_server(tmp_path / "data", config=config) as server:
        ask(server, "What is 2 + 3?")
        [child] = find_children(server)
        deadline = time.monotonic() + 15
        while child in find_children(server) and time.monotonic() < deadline:
            time.sleep(0.1)
            ask(server, "What is 2 + 3?")
        assert child not in find_children(server)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Any GGUF file goes by the name that the file gives it; one that is none says so."""
    import briggs.providers

    built_in = Path(str(briggs.providers.__file__)).parent / "briggs-tiny.gguf"
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, or is it")
    config = f'[local.models]\nmine = "{built_in}"\nbroken = "{broken}"\n'
    with run_server(tmp_path / "data", config=config) as server:
        request = {"model": "local/mine", "messages": [{"role": "user", "content": "Hi"}]}
        assert server.chat(request).json["model"] == "mine"
        reply = server.chat({**request, "model": "local/broken"})
        assert reply.status == 502
        assert str(broken) in reply.json["error"]["message"]
