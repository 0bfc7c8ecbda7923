"""The built-in model, through the real server and a real child process."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openai
import pytest
import uvloop

import briggs.providers
from briggs.providers.gguf import read_template
from briggs.providers.local_children import ChildPlan, OwnChildren
from briggs.providers.local_models import name_build
from briggs.providers.local_server import ChildOrder
from briggs.types.envelope import open_envelope
from briggs.types.errors import UpstreamUnreachable
from briggs.wires.base import Prepared
from briggs.wires.llama.wire import LocalWire
from tests.cli.running import run
from tests.processes import Server, read_cpu_s, read_frames, run_server
from tests.waiting import PATIENCE_S, wait_for

MODEL = "local/briggs-tiny"
BUILT_IN = Path(str(briggs.providers.__file__)).parent / "briggs-tiny.gguf"
MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a file, as after installation."""
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
    """The model answers a sum. Without another provider, it also answers bare names."""
    answer = ask(local, "What is 12 + 34?")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert "46" in answer["choices"][0]["message"]["content"]
    reply = local.chat({"model": "briggs-tiny", "messages": [{"role": "user", "content": "Hi"}]})
    assert reply.status == 200


def test_the_time_of_a_stream() -> None:
    """All chunks have the time of the first, although llama.cpp writes that of each."""
    body = json.dumps({"model": MODEL, "messages": MESSAGES}).encode()
    prepared = Prepared(open_envelope(body), "briggs-tiny", body)
    stream = LocalWire(name=MODEL, fingerprint="f").open_stream(prepared)
    chunk = {"id": "c", "system_fingerprint": "b0", "choices": [{"delta": {"content": "x"}}]}
    times = [
        json.loads(payload)["created"]
        for created in (1_790_000_000, 1_790_000_001)
        for payload in stream.feed(
            b"data: %b\n\n" % json.dumps({**chunk, "created": created}).encode()
        )
    ]
    assert times == [1_790_000_000] * 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "asked", [{}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 3}, {"n": 2}]
)
def test_the_record_is_clean(local: Server, asked: dict[str, Any], stream: bool) -> None:
    """An answer of the built-in model breaks no rule and needs no fix, from the first call on."""
    call = {"model": MODEL, "messages": MESSAGES, "stream": stream, **asked}
    record = local.find(local.chat(call))["briggs"]
    assert (record["violates"], record["fixes"]) == ([], [])


@pytest.mark.parametrize(
    "tool_choice",
    [
        "required",
        {"type": "function", "function": {"name": "look"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    ],
)
def test_calls_that_must_be_made(local: Server, tool_choice: Any) -> None:
    """The built-in model cannot call tools, so a forced call is refused."""
    messages = [{"role": "user", "content": "Hi"}]
    reply = local.chat({"model": MODEL, "messages": messages, "tool_choice": tool_choice})
    assert reply.status == 400
    assert reply.json["error"]["code"] == "unsupported_parameter"
    assert reply.json["error"]["param"] == "tool_choice"


@pytest.mark.parametrize("top_logprobs", [None, 0, 3])
def test_logprobs(local: Server, top_logprobs: int | None) -> None:
    """Logprobs are real: at most 0, with the requested alternatives, and bytes that join."""
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
    """Members that llama.cpp leaves out are null, as the specification requires."""
    choice = ask(local, "What is 2 + 2?")["choices"][0]
    assert choice["logprobs"] is None
    assert choice["message"]["refusal"] is None


def test_seed(local: Server) -> None:
    """The same seed gives the same answer, whatever other calls are running."""
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
    """A stream gives the same text as a whole answer."""
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
    """`n` gives that many choices, numbered in order."""
    choices = ask(local, "Who are you?", n=3, temperature=1.5, max_tokens=20)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]


def test_official_client(local: Server) -> None:
    """OpenAI's package parses the model's answer."""
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
    """A caller who leaves a long stream does not keep the next caller waiting."""
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
    [child] = find_children(local)
    began_s = read_cpu_s(child)
    ask(local, "What is 2 + 3?")
    assert read_cpu_s(child) - began_s < 5


def test_restarted_when_it_dies(local: Server) -> None:
    """The next call restarts a model's process that was killed."""
    ask(local, "What is 2 + 3?")
    [child] = find_children(local)
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: not find_children(local))
    ask(local, "What is 2 + 3?")
    [other] = find_children(local)
    assert other != child


@pytest.mark.parametrize("stream", [False, True])
def test_killed_before_it_answers(local: Server, stream: bool) -> None:
    """A call whose model's process is killed before it answers is answered by a new process."""
    ask(local, "What is 2 + 3?")
    [child] = find_children(local)
    request = {"model": MODEL, "messages": MESSAGES, "max_tokens": 20, "stream": stream}
    os.kill(child, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(local.chat, request)
        time.sleep(0.3)
        os.kill(child, signal.SIGKILL)
        reply = asking.result(timeout=PATIENCE_S)
    assert reply.status == 200, reply.body
    assert reply.body.endswith(b"[DONE]\n\n") == stream
    assert local.find(reply)["briggs"]["status"] == "finished"
    assert child not in find_children(local)


def test_a_process_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has ended before it heard what to run, or has no place for its log, is an error of
    the model, with what to do."""
    create = asyncio.create_subprocess_exec

    async def create_dead(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await create("false", **options)
        await process.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_dead)
    plan = ChildPlan(
        name="m",
        order=ChildOrder(model="m", path="m.gguf", context_tokens=1, parallel=1, threads=1),
        memory_bytes_max=1,
        stall_timeout_s=1,
    )
    for data, said in ((tmp_path, "could not be started"), (tmp_path / "gone", "No such file")):
        with pytest.raises(UpstreamUnreachable, match=said):
            uvloop.run(OwnChildren(data=data).start(plan))


def test_nobody_else_may_ask_it(local: Server) -> None:
    """The process listens on loopback, requires its key, and does not reveal it."""
    ask(local, "What is 2 + 3?")
    [child] = find_children(local)
    [port] = find_ports(child)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/x", b"{}", timeout=PATIENCE_S)
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
        wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_restarted_when_it_grows(tmp_path: Path) -> None:
    """A process past its limit is replaced, and calls are still answered."""
    config = "[local]\nmemory_bytes_max = 1000000\n"
    with run_server(tmp_path / "data", config=config) as server:
        ask(server, "What is 2 + 3?")
        [child] = find_children(server)

        def is_replaced() -> bool:
            ask(server, "What is 2 + 3?")
            return child not in find_children(server)

        wait_for(is_replaced)


def test_restarted_when_it_stalls(tmp_path: Path) -> None:
    """A grammar that keeps llama.cpp busy for ever fails its own call, and others are answered."""
    rules = [f"a{number} ::= a{number + 1} | a{number + 1}" for number in range(60)]
    grammar = "\n".join(["root ::= a0", *rules, 'a60 ::= "a"'])
    message = {"role": "user", "content": "hi"}
    hostile = {"model": "local/briggs-tiny", "messages": [message], "grammar": grammar}
    config = "[local]\nstall_timeout_s = 2\n"
    with run_server(tmp_path / "data", config=config) as server:
        ask(server, "What is 2 + 3?")
        before = find_children(server)
        reply = server.chat(hostile)
        assert (reply.status, "error" in reply.json) == (502, True)
        assert server.find(reply)["briggs"]["status"] == "failed"
        ask(server, "What is 2 + 3?")
        assert find_children(server) != before


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Any GGUF file can be used by its name in the settings. Other files give an error."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, or is it")
    config = f'[local.models]\nmine = "{BUILT_IN}"\nbroken = "{broken}"\n'
    with run_server(tmp_path / "data", config=config) as server:
        request = {"model": "local/mine", "messages": [{"role": "user", "content": "Hi"}]}
        assert server.chat(request).json["model"] == "mine"
        reply = server.chat({**request, "model": "local/broken"})
        assert reply.status == 502
        assert str(broken) in reply.json["error"]["message"]


def test_more_choices_than_slots(local: Server) -> None:
    """Too many choices are refused, and the error names the setting."""
    reply = local.chat({"model": MODEL, "messages": MESSAGES, "n": 5})
    error = reply.json["error"]
    assert (reply.status, error["param"], error["code"]) == (400, "n", "integer_above_max_value")
    assert "parallel in [local]" in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_beyond_the_context(local: Server, stream: bool) -> None:
    """A prompt that is too long has OpenAI's code, and the message says what to change."""
    messages = [{"role": "user", "content": "word " * 6000}]
    reply = local.chat({"model": MODEL, "messages": messages, "stream": stream})
    error = reply.json["error"]
    assert (reply.status, error["param"]) == (400, "messages")
    assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")
    for said in ("2048 tokens", "60", "context_tokens in [local]"):
        assert said in error["message"]


_NO_CALL = [{"role": "assistant", "tool_calls": [{}]}, *MESSAGES]


@pytest.mark.parametrize(
    ("path", "asked", "param"),
    [
        ("chat/completions", {"messages": MESSAGES, "tools": [{}]}, "tools"),
        ("chat/completions", {"messages": MESSAGES, "tools": [{"type": "function"}]}, "tools"),
        ("chat/completions", {"messages": _NO_CALL}, "messages"),
        ("chat/completions", {"messages": MESSAGES, "max_tokens": 2**40}, "max_tokens"),
        ("completions", {"prompt": "x", "max_tokens": 2**40}, "max_tokens"),
    ],
)
def test_what_a_caller_wrote_wrong(local: Server, path: str, asked: Any, param: str) -> None:
    """It is the caller's error, though llama.cpp calls some of it its own."""
    reply = local.send("POST", f"/v1/{path}", {"model": MODEL, **asked})
    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert not (error["code"] or "").isdigit()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
    ],
)
def test_what_is_not_text(local: Server, part: Any) -> None:
    """A part that is not text is refused, and the error names it."""
    content = [{"type": "text", "text": "What is this?"}, part]
    messages = [{"role": "system", "content": "Hi"}, {"role": "user", "content": content}]
    reply = local.chat({"model": MODEL, "messages": messages})
    assert (reply.status, reply.json["error"]["param"]) == (400, "messages[1].content[1]")
    assert "text only" in reply.json["error"]["message"]


def test_fingerprint(local: Server, tmp_path: Path) -> None:
    """The fingerprint names the build and the file, and changes only with them."""
    mark = ask(local, "Hi")["system_fingerprint"]
    assert re.fullmatch(rf"xllamacpp-{version('xllamacpp')}-briggs-tiny-[0-9a-f]{{8}}", mark)
    [child] = find_children(local)
    os.kill(child, signal.SIGKILL)
    reply = local.chat({"model": MODEL, "messages": MESSAGES, "stream": True, "max_tokens": 3})
    chunks = [json.loads(frame) for frame in read_frames(reply.body)[:-1]]
    assert {chunk["system_fingerprint"] for chunk in chunks} == {mark}
    assert local.find(reply)["system_fingerprint"] == mark
    marks = set()
    for place in (0, 2_500_000, BUILT_IN.stat().st_size - 1):
        changed = bytearray(BUILT_IN.read_bytes())
        changed[place] ^= 1
        other = tmp_path / "briggs-tiny.gguf"
        other.write_bytes(changed)
        marks.add(name_build(str(other), template=None))
    marks.add(name_build(str(BUILT_IN), template="{{ messages }}"))
    assert len(marks | {mark}) == 5


def test_no_chat_template(tmp_path: Path) -> None:
    """A missing chat template is reported at start and in the check. Settings can supply it."""
    bare = tmp_path / "bare.gguf"
    bare.write_bytes(BUILT_IN.read_bytes().replace(b"tokenizer.chat_template", b"x" * 23))
    template = tmp_path / "template.jinja"
    template.write_text(str(read_template(str(BUILT_IN))))
    config = (
        f'[local.models]\nbare = "{bare}"\nold = "{BUILT_IN}"\n'
        f'[local.models.given]\npath = "{bare}"\nchat_template_file = "{template}"\n'
        f"[local.models.fixed]\npath = \"{bare}\"\nchat_template = '''"
        "<|im_start|>user\nWhat is 40 + 2?<|im_end|>\n<|im_start|>assistant\n'''\n"
    )
    told = tmp_path / "briggs.toml"
    told.write_text(config)
    checked = run("config", "check", str(told))
    assert checked.status == 0
    [line] = [line for line in checked.output.splitlines() if "(a warning)" in line]
    assert line.startswith(f"{told}:2: local.models.bare: {bare} has no chat template")
    assert "chat_template" in line.partition("Set ")[2]
    with run_server(tmp_path / "data", config=config) as server:
        assert "has no chat template" in (tmp_path / "data.log").read_text()
        answers = {}
        for name in ("bare", "given", "fixed", "old"):
            request = {"model": f"local/{name}", "messages": MESSAGES, "temperature": 0}
            answers[name] = server.chat(request).json["choices"][0]["message"]["content"]
    assert answers["given"] == answers["old"]
    assert "42" in answers["fixed"]


def test_what_is_wrong_with_a_local_model(tmp_path: Path) -> None:
    """The check reports a missing file, a file that is not GGUF, and a second template."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGML")
    huge = tmp_path / "huge.gguf"
    key = b"\x17" + bytes(7) + b"tokenizer.chat_template\x08" + bytes(3)
    huge.write_bytes(b"GGUF" + key + b"\xff" * 8)
    told = tmp_path / "briggs.toml"
    told.write_text(
        f'[local.models]\nbroken = "{broken}"\nhuge = "{huge}"\n'
        '[local.models.gone]\npath = "/nowhere.gguf"\n'
        f'[local.models.both]\npath = "{BUILT_IN}"\nchat_template = "a"\n'
        f'chat_template_file = "{broken}"\n'
        '[local.models.typo]\npath = "/nowhere.gguf"\nchat_templat = "a"\n'
    )
    checked = run("config", "check", str(told))
    assert checked.status == 1
    for said in (
        "local.models.broken: " + f"{broken} is not a GGUF file",
        "local.models.huge: " + f"{huge} is not a GGUF file",
        "local.models.gone: there is no file /nowhere.gguf",
        "local.models.both: chat_template and chat_template_file",
        "did you mean 'chat_template'",
    ):
        assert said in checked.output
    assert "Traceback" not in checked.output + checked.errors


def test_a_call_that_was_not_made(tmp_path: Path) -> None:
    """If the model ignores a forced call, its answer is passed on, and its record lists M10."""
    template = read_template(str(BUILT_IN))
    assert template is not None
    path = tmp_path / "briggs.toml"
    config = (
        f"[local.models.tooled]\npath = \"{BUILT_IN}\"\nchat_template = '''"
        f"{{# tools #}}{template}'''\n[local.models]\nplain = \"{BUILT_IN}\"\n"
    )
    path.write_text(config)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    with run_server(tmp_path / "data", config=config) as server:
        for choice in ("required", {"type": "function", "function": {"name": "look"}}):
            asked = {"messages": MESSAGES, "tools": tools, "tool_choice": choice, "max_tokens": 5}
            refused = server.chat({**asked, "model": "local/plain"})
            assert refused.json["error"]["code"] == "unsupported_parameter"
            reply = server.chat({**asked, "model": "local/tooled"})
            assert reply.status == 200
            if not reply.json["choices"][0]["message"].get("tool_calls"):
                excused = reply.json["choices"][0]["finish_reason"] == "length"
                assert excused or "M10" in server.find(reply)["briggs"]["violates"]
