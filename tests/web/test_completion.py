"""The page of one completion over HTTP: its parts, its size, and what is done with it."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from briggs.storage import Store
from briggs.types.completions import Attempt, Completion, Fix
from briggs.types.organizations import DEFAULT
from tests.processes import Server, create_response, run_server
from tests.web.visitor import Visitor

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) "
    "\u202eevil\x00\x1b[31m ![i](http://tracker.example/p.png) </pre></div><style>*{}</style>"
)
TOKENS_MANY = 100_000
HUGE = "0199d5a0-0000-7000-8000-000000000001"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
    "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def answer(**message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return json.dumps({"choices": [choice]}).encode()


ODD: list[dict[str, Any]] = [
    {},
    {"request": b"\xff\x00", "response": b"{", "received": b"\x80"},
    {"request": b'[1, null, "x"]', "response": b"[]"},
    {"request": b'{"messages": 7, "tools": 7, "n": null}', "response": b'{"choices": [7, {}]}'},
    {"status": "failed"},
    {
        "status": "failed",
        "failure_kind": "upstream_truncated",
        "duration_ms": 5.0,
        "attempts": [Attempt(target="a/b", duration_ms=9.0), Attempt(target="", duration_ms=0.0)],
        "response": answer(content="half"),
    },
    {"kind": "completion", "source": "client", "response": b'{"choices": [{"text": "old"}]}'},
    {"response": answer(content=None, refusal="No.", reasoning_content="Hm.")},
    {"response": answer(content=None, function_call={"name": "f", "arguments": "{}"})},
    {"response": answer(content=None, audio={"data": "AA", "transcript": "Said."})},
    {"response": answer(content=[{"type": "text", "text": "In parts."}, {"type": "image_url"}])},
    {"fixes": [Fix("C3", "")], "violates": ["Z9", "U2"], "caller_left_ms": 3.0, "seed": 2**60},
    {"tags": ["\ud800"], "metadata": {"\ud800": ""}, "model": "\ud800", "session_id": "\ud800/.."},
]
"""Records that no one should make, and that a page must show anyway."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("completion") / "data"
    asyncio.run(record_huge(data))
    with run_server(data) as server:
        yield server


@pytest.fixture
def visitor(server: Server) -> Visitor:
    return Visitor(server)


async def record_huge(data: Path) -> None:
    """Put a call into the record whose answer has 100,000 tokens, and whose request has 20 MB."""
    alternatives = [{"token": f"alt{n}", "logprob": -1.0 - n, "bytes": None} for n in range(5)]
    tokens = [
        {
            "token": f" w{n % 999}",
            "logprob": -(n % 7) / 5,
            "bytes": None,
            "top_logprobs": alternatives,
        }
        for n in range(TOKENS_MANY)
    ]
    response = create_response() | {"choices": [create_choice(0, tokens)]}
    store = await Store.open(data)
    await store.settle(
        Completion(
            id=HUGE,
            organization_id=DEFAULT,
            status="finished",
            request=json.dumps(ask("word " * 4_000_000)).encode(),
            response=json.dumps(response).encode(),
        )
    )
    for number, members in enumerate(ODD):
        odd = {"status": "finished", "request": b"", "session_id": "odd", **members}
        await store.settle(Completion(id=f"odd-{number}", organization_id=DEFAULT, **odd))
    await store.start(Completion(id="odd-started", organization_id=DEFAULT, request=b"{}"))
    await store.close()


def create_token(text: str, probability: float, **others: float) -> dict[str, Any]:
    options = {text: probability, **others}
    top = [
        {"token": each, "logprob": math.log(p), "bytes": list(each.encode())}
        for each, p in sorted(options.items(), key=lambda item: -item[1])
    ]
    return {**next(each for each in top if each["token"] == text), "top_logprobs": top}


def create_choice(index: int, tokens: list[dict[str, Any]]) -> dict[str, Any]:
    content = "".join(token["token"] for token in tokens)
    return {
        "index": index,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": content, "refusal": None},
        "logprobs": {"content": tokens, "refusal": None},
    }


def record(server: Server, request: dict[str, Any], response: Any, **members: Any) -> str:
    """A call that was answered elsewhere."""
    body = {
        "organization_id": "default",
        "kind": "chat",
        "status": "finished",
        "request": {"model": "m-1", **request},
        "response": response,
        **members,
    }
    id: str = server.send("POST", "/api/v1/completions", body).json["id"]
    return id


def ask(content: Any = "Which colour?") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def read(visitor: Visitor, path: str) -> str:
    reply = visitor.visit(path)
    assert reply.status == 200, reply.body.decode()[:2000]
    return reply.body.decode()


def list_tags(html: str) -> list[tuple[str, list[str]]]:
    """Each tag with the names of its attributes, as a browser reads them."""
    found: list[tuple[str, list[str]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, [name for name, _ in attrs]))

    Reader().feed(html)
    return found


def read_words(html: str) -> str:
    """What a person reads, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_a_page_has_everything_about_a_call(server: Server, visitor: Visitor) -> None:
    """What was asked and answered, the figures, and the least certain tokens are on the page."""
    tokens = [create_token("Blue", 0.5, Red=0.25), create_token(" sky", 1.0)]
    response = create_response() | {"choices": [create_choice(0, tokens)]}
    id = record(server, ask(), response, tags=["sky", "eu"], duration=1.84)
    page = read(visitor, f"/completions/{id}")
    words = read_words(page)
    for said in ("Which colour?", "Blue sky", "sky", "eu", "1.84 s", "Mean p 0.71", "Least p 0.50"):
        assert said in words, said
    assert '<span class="p2 h" data-t="0">Blue</span>' in page
    assert len(page) < 60_000


def test_every_tab_opens_by_its_address(server: Server, visitor: Visitor) -> None:
    """Each tab and view is a page of its own, and a wrong name is the first one."""
    id = server.find(server.chat({**ask(), "model": "local/briggs-tiny", "max_tokens": 3}))["id"]
    path = f"/completions/{id}"
    assert "local/briggs-tiny" in read_words(read(visitor, f"{path}?tab=attempts"))
    assert "The answer broke no rule" in read_words(read(visitor, f"{path}?tab=rules"))
    assert "max_tokens" in read_words(read(visitor, f"{path}?tab=parameters"))
    assert "no session" in read_words(read(visitor, f"{path}?tab=session"))
    assert "Nobody has graded it" in read_words(read(visitor, f"{path}?tab=feedback"))
    assert '"messages":' in unescape(read(visitor, f"{path}?tab=raw&body=request"))
    assert "Nobody asked for probabilities" in read_words(read(visitor, f"{path}?tab=nonsense"))
    assert '"finish_reason": "' in unescape(read(visitor, f"{path}?format=json"))
    assert visitor.visit("/completions/none").status == 404


def test_a_tokens_card_has_its_odds(server: Server, visitor: Visitor) -> None:
    """The URL may name a token. Its card has the alternatives, the others, the bits, the bytes."""
    tokens = [create_token("It", 1.0), create_token(" is", 0.5, **{" was": 0.25})]
    id = record(server, ask(), create_response() | {"choices": [create_choice(0, tokens)]})
    words = read_words(read(visitor, f"/completions/{id}?token=1"))
    assert "␣is token 2 of 2 1.5 bits" in words
    assert "␣is 50 % -0.69 ␣was 25 % -1.39 others 25 %" in words
    assert "20 69 73" in words
    cards = read(visitor, f"/completions/{id}/tokens?choice=0&from=0")
    assert re.findall(r'data-card="(\d+)"', cards) == ["0", "1"]
    assert "data-card" not in read(visitor, f"/completions/{id}/tokens?choice=7&from=9")


def test_choices_are_beside_each_other(server: Server, visitor: Visitor) -> None:
    """Several choices are compared where they part, each with the probability of its token."""
    same = [create_token(f" {n}", 1.0) for n in range(9)]
    texts = [[*same, create_token(" a", 0.5)], [*same, create_token(" b", 0.25)]]
    choices = [create_choice(at, tokens) for at, tokens in enumerate(texts)]
    id = record(server, ask() | {"n": 2}, create_response() | {"choices": choices})
    words = read_words(read(visitor, f"/completions/{id}?choice=1"))
    assert "They part at token 10" in words and "a 50 % b 25 %" in words
    assert "5 tokens the same" in words
    marked = read(visitor, f"/completions/{id}?words=on")
    assert re.findall(r"<ins>.*?data-t=\"(\d+)\">(\w)<", marked) == [("9", "a"), ("9", "b")]
    assert 'data-t="9"> b' not in words


def test_rules_say_what_came_and_what_the_caller_got(visitor: Visitor, server: Server) -> None:
    """What was mended has both values; what was left says why."""
    wrong = create_response()
    wrong["choices"][0]["logprobs"] = {"content": [create_token("Hello", 0.5)], "refusal": None}
    wrong["choices"][0]["logprobs"]["content"][0]["bytes"] = [1, 2]
    id = record(server, ask() | {"logprobs": True}, wrong)
    words = read_words(read(visitor, f"/completions/{id}?tab=rules"))
    assert "as it came" in words and "choices[0].logprobs.content[0].bytes" in words
    assert "not mended" in words and "Not mended: the caller got it as it came" in words


def test_every_try_of_a_caller_is_named(tmp_path: Path) -> None:
    """A call that a caller repeated leads to its other tries, and says which of them failed."""
    first = Completion(organization_id=DEFAULT, status="failed", failure_kind="upstream_timeout")
    second = Completion(
        organization_id=DEFAULT,
        status="finished",
        created_at=first.created_at + 1,
        retry_of=first.id,
        retry_count=1,
        response=json.dumps(create_response()).encode(),
    )
    asyncio.run(settle(tmp_path / "data", first, second))
    with run_server(tmp_path / "data") as server:
        for one, other in ((first, second), (second, first)):
            page = read(Visitor(server), f"/completions/{one.id}?tab=attempts")
            said = "The caller asked the same 2 times: try 1 failed, try 2 was answered."
            assert said in re.sub(r" +([.,])", r"\1", read_words(page))
            assert f'href="/completions/{other.id}?tab=attempts"' in page


async def settle(data: Path, *completions: Completion) -> None:
    store = await Store.open(data)
    for each in completions:
        await store.settle(each)
    await store.close()


def test_short_parameters_are_on_one_line(visitor: Visitor, server: Server) -> None:
    """A small object is shown as it is, and a large one is folded."""
    large = {"type": "object", "properties": {f"field-{n}": {} for n in range(20)}}
    options = {"stream_options": {"include_usage": True}, "response_format": large}
    id = record(server, ask() | options, create_response())
    page = unescape(read(visitor, f"/completions/{id}?tab=parameters"))
    assert '<code dir="auto">{"include_usage": true}</code>' in page
    assert "<summary>27 characters</summary>" not in page and "characters</summary>" in page


def test_a_failed_call_says_why(server: Server, visitor: Visitor) -> None:
    """The reason, the status that the caller got, and the attempts are on the page."""
    reply = server.chat({**ask(), "model": "nobody/m"})
    id = reply.headers["x-briggs-completion-id"]
    words = read_words(read(visitor, f"/completions/{id}?tab=attempts"))
    assert "404 provider_not_found" in words
    assert "The caller got this error" in words


@pytest.mark.parametrize("state", ["", "?format=json", "?tab=probabilities"])
def test_an_answer_without_text(server: Server, visitor: Visitor, state: str) -> None:
    """An embedding shows its kind and its answer. The playground only asks for chats."""
    asked = {"model": "local/briggs-tiny", "input": ["one", "two"]}
    reply = server.send("POST", "/v1/embeddings", asked)
    page = read(visitor, f"/completions/{reply.headers['x-briggs-completion-id']}{state}")
    words = read_words(page)
    assert "Kind embedding" in words
    assert '"dimensions": 256' in unescape(page)
    assert "no tokens, and so there are no probabilities" in words
    assert "/playground?from=" not in page


def test_where_calls_are_listed_an_answer_without_text_has_its_kind(
    server: Server, visitor: Visitor
) -> None:
    """The list and the session say that the call was an embedding."""
    headers = {"x-briggs-session": "vectors", "x-briggs-tags": "vectors"}
    asked = {"model": "local/briggs-tiny", "input": "one"}
    server.send("POST", "/v1/embeddings", asked, headers=headers)
    assert "[embedding]" in read_words(read(visitor, "/completions?query=tag+%3D+vectors"))
    assert "embedding" in read_words(read(visitor, "/sessions/vectors"))


def test_a_failed_call_that_was_logged(server: Server, visitor: Visitor) -> None:
    """Whom its program asked is not known here, so the page does not say that nobody was asked."""
    id = record(server, {"messages": []}, None, status="failed", failure_reason="It broke.")
    words = read_words(read(visitor, f"/completions/{id}"))
    assert "It was logged as failed." in words
    assert "Nobody was asked" not in words
    assert ".." not in words.replace("...", "")


def test_hostile_text_is_text(server: Server, visitor: Visitor) -> None:
    """Whatever a model or a user wrote, in any place, is neither markup nor a control."""
    call = {
        "id": HOSTILE,
        "function": {"name": HOSTILE, "arguments": json.dumps({HOSTILE: HOSTILE})},
    }
    messages = [
        {"role": HOSTILE, "content": HOSTILE},
        {"role": "assistant", "content": HOSTILE, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": HOSTILE, "content": HOSTILE},
        {"role": "user", "content": [{"type": "text", "text": HOSTILE}, {"type": HOSTILE}]},
    ]
    response = create_response(HOSTILE)
    response["choices"][0]["logprobs"] = {
        "content": [create_token(HOSTILE, 0.5, **{HOSTILE * 2: 0.4})]
    }
    request = {"messages": messages, "tools": [{"function": {"name": HOSTILE}}], HOSTILE: HOSTILE}
    id = record(server, request, response, tags=["<b>&"], session_id="<i>")
    for state in ("tab=parameters", "format=text&token=0", "format=json", "tab=raw", "tab=session"):
        page = read(visitor, f"/completions/{id}?{state}")
        assert "<script>alert" not in page and "onerror=alert(1)>" not in page, state
        assert not re.search(r"<(img|style|iframe|svg)[^>]*(tracker|onerror)", page), state
        assert 'href="javascript' not in page.lower(), state
        assert "\u202e" not in page and "\x1b" not in page and "\x00" not in page, state
        for tag, names in list_tags(page):
            assert tag not in ("style", "iframe", "object", "embed"), state
            assert not any(name == "style" or name.startswith("on") for name in names), (tag, names)


def test_images_come_from_the_record(server: Server, visitor: Visitor) -> None:
    """An image of the request is sent as an image; anything that only says so is not."""
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zz4="}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,***"}},
    ]
    id = record(server, ask(parts), create_response())
    image = visitor.send("GET", f"/completions/{id}/images/0/0")
    assert (image.status, image.headers["content-type"]) == (200, "image/png")
    assert image.body.startswith(b"\x89PNG")
    for name in ("0/1", "0/2", "0/9", "5/0", "x/0", "-1/0", "0/99999999999"):
        assert visitor.visit(f"/completions/{id}/images/{name}").status == 404


def test_raw_bytes_come_in_parts(server: Server, visitor: Visitor) -> None:
    """A part of 64 KB is on the page, in text or in hexadecimal; the file has all of it."""
    id = record(server, ask("word " * 30_000), create_response())
    page = read(visitor, f"/completions/{id}?tab=raw&body=request&raw=1")
    assert "Bytes 65,536 to 131,072 of 150 KB" in read_words(page)
    hexadecimal = read(visitor, f"/completions/{id}/raw?body=request&form=hex&raw=2")
    assert "00020000  " in hexadecimal
    file = visitor.visit(f"/completions/{id}/raw/request")
    assert file.headers["content-disposition"].startswith("attachment")
    assert json.loads(file.body)["messages"][0]["content"] == "word " * 30_000
    assert visitor.visit(f"/completions/{id}/raw/x").status == 404


def test_a_long_text_opens_in_parts(server: Server, visitor: Visitor) -> None:
    """A message that does not fit has an address with all of it, part by part."""
    long = " ".join(f"w{n}" for n in range(20_000))
    id = record(server, ask(long), create_response())
    page = read(visitor, f"/completions/{id}")
    assert f"/completions/{id}/text/0/0" in page and len(page) < 60_000
    found: list[str] = []
    for part in range(20):
        shown = read(visitor, f"/completions/{id}/text/0/0?part={part}")
        found += re.findall(r"\bw\d+\b", shown.partition("<main")[2])
        if "Next part" not in shown:
            break
    assert found == long.split()
    assert visitor.visit(f"/completions/{id}/text/0/7").status == 404


def test_huge_answers_stay_usable(visitor: Visitor) -> None:
    """100,000 tokens with alternatives, and a request of 20 MB: bounded in time and size."""
    for state in ("", "?token=99999", "?format=text&part=3", "?tab=raw&raw=9"):
        began_s = visitor.server.read_cpu_s()
        page = read(visitor, f"/completions/{HUGE}{state}")
        assert visitor.server.read_cpu_s() - began_s < 20, state
        assert len(page) < 500_000, (state, len(page))
    cards = read(visitor, f"/completions/{HUGE}/tokens?choice=0&from=99990")
    assert "token 100,000 of 100,000" in read_words(cards)


def test_odd_records_are_shown(visitor: Visitor) -> None:
    """Whatever a record lacks or has of the wrong shape, every tab of its page opens."""
    for name in (*range(len(ODD)), "started"):
        for state in ("", "tab=attempts", "tab=rules", "tab=parameters", "tab=session", "tab=raw",
                      "format=json", "token=0&choice=9&part=9&first=9"):  # fmt: skip
            read(visitor, f"/completions/odd-{name}?{state}")
    assert "Said." in read_words(read(visitor, "/sessions/odd"))
    read(visitor, "/sessions")
    compared = ",".join(f"odd-{name}" for name in range(4, 8))
    assert "4 answers" in read_words(read(visitor, f"/compare?ids={compared}&show=both"))
    assert "Said." in read_words(read(visitor, "/completions/odd-9"))
    assert "No. " in read_words(read(visitor, "/completions/odd-7"))


def test_tags_are_edited(server: Server, visitor: Visitor) -> None:
    """Tags are added and taken away one by one, also one with a comma. Some keys may not."""
    odd = ["a, b", "two\nlines", "old"]
    id = record(server, ask(), create_response(), tags=odd)

    def list_tags() -> Any:
        return server.send("GET", f"/v1/chat/completions/{id}").json["briggs"]["tags"]

    page = read(visitor, f"/completions/{id}")
    removals = re.findall(r'name="remove" value="([^"]+)"', page)
    assert visitor.submit(f"/completions/{id}/tags", tags=" new, old ,,new").status == 200
    assert list_tags() == [*odd, "new"]
    for removed, left in zip(removals, (odd[1:], odd[2:], []), strict=True):
        visitor.submit(f"/completions/{id}/tags", remove=removed)
        assert list_tags() == [*left, "new"]
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    assert "Delete for good" not in read(reader, f"/completions/{id}")
    assert reader.post(f"/completions/{id}/tags", tags="x").status == 403
    assert reader.post(f"/completions/{id}/delete").status == 403


def test_a_completion_is_deleted(server: Server, visitor: Visitor) -> None:
    """After the form, the record is gone."""
    id = record(server, ask(), create_response())
    read(visitor, f"/completions/{id}")
    assert visitor.post(f"/completions/{id}/delete").status == 303
    assert server.send("GET", f"/v1/chat/completions/{id}").status == 404


def test_the_request_is_copied_without_a_key(server: Server, visitor: Visitor) -> None:
    """A program sends the request to this server; its key comes from the environment."""
    id = record(server, ask(), create_response())
    command = read(visitor, f"/completions/{id}/snippets/curl")
    assert f"{server.url}/v1/chat/completions" in command and "$BRIGGS_API_KEY" in command
    assert server.key not in command
    assert "OpenAI(" in read(visitor, f"/completions/{id}/snippets/python")
    assert visitor.visit(f"/completions/{id}/snippets/x").status == 404


def test_tasks_that_ask_about_it_can_be_graded(server: Server, visitor: Visitor) -> None:
    """The button leads to the grading page of the task that selects the completion."""
    id = record(server, ask(), create_response(), tags=["to-grade"])
    assert "/grade?item=" not in read(visitor, f"/completions/{id}")
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}}
    body = {"name": "quality", "json_schema": schema, "completion_tags_selector": ["to-grade"]}
    task = server.send("POST", "/api/v1/feedback_task", body).json["id"]
    assert f"/feedback/{task}/grade?item={id}" in read(visitor, f"/completions/{id}")
    assert read(visitor, f"/feedback/{task}/grade?item={id}")


def test_feedback_is_shown(server: Server, visitor: Visitor) -> None:
    """Grades and preferences about a completion are in its tab."""
    a, b = (record(server, ask(), create_response()) for _ in range(2))
    body = {"completion_ids": [a, b], "best": a, "comment": "clearer", "reviewer": "ann"}
    assert server.send("POST", "/api/v1/preferences", body).status == 200
    words = read_words(read(visitor, f"/completions/{a}?tab=feedback"))
    assert "ann" in words and "Preference" in words and "clearer" in words


def test_a_grade_of_a_megabyte_is_cut(server: Server, visitor: Visitor) -> None:
    """A judge, or a program, can fill a field of text with anything. No page carries all of it."""
    id = record(server, ask(), create_response(), tags=["wordy"])
    schema = {"type": "object", "properties": {"note": {"type": "string"}}}
    body = {"name": "wordy", "json_schema": schema, "completion_tags_selector": ["wordy"]}
    task = server.send("POST", "/api/v1/feedback_task", body).json["id"]
    given = {"task_id": task, "completion_ids": [id], "json_values": {"note": "x" * 1_000_000}}
    assert server.send("POST", "/api/v1/feedback", given).status == 200
    for path in (f"/completions/{id}?tab=feedback", f"/feedback/{task}?tab=answers", "/feedback"):
        page = read(visitor, path)
        assert "xxx" in page and len(page) < 100_000, path


def test_what_is_nested_deeply_is_shown(server: Server, visitor: Visitor) -> None:
    """A model or a caller who nests a value 400 deep breaks no page, and no list."""
    deep: Any = "the core"
    for _ in range(400):
        deep = {"a": [deep]}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    asked = {
        "model": "m",
        "messages": [deep, {"role": "user", "content": [deep]}, {"role": deep, "name": deep}],
        "tools": [tool],
        "unknown": deep,
    }
    answer = create_response("yes")
    answer["choices"][0]["message"] |= {"tool_calls": [call], "annotations": [deep]}
    id = record(server, asked, answer, tags=["playground"])
    for path in (
        *(f"/completions/{id}{more}" for more in ("", "?format=json", "?tab=parameters", "/peek")),
        f"/compare?ids={id},{id}",
        f"/playground?from={id}&runs={id}&tab=json",
        f"/playground/runs/{id}",
        "/completions?range=all",
    ):
        assert visitor.visit(path).status == 200, path
    copied = [visitor.visit(f"/completions/{id}/snippets/{name}") for name in ("curl", "python")]
    assert [reply.status for reply in copied] == [200, 400]
    assert "nested too deeply to copy" in copied[1].body.decode()


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 30_000}]},
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"id": "c"}] * 30_000}]},
        {"messages": [{"role": "user", "content": "x"}] * 30_000},
        {"messages": [], **{f"p{number}": number for number in range(30_000)}},
    ],
    ids=["parts", "calls", "messages", "parameters"],
)
def test_many_of_anything_stay_usable(
    server: Server, visitor: Visitor, asked: dict[str, Any]
) -> None:
    """Pages stay small, and the playground says that it is too much to edit."""
    id = record(server, asked, create_response("yes"))
    for more in ("", "?tab=parameters", "/peek"):
        assert len(read(visitor, f"/completions/{id}{more}")) < 200_000, more
    reply = visitor.visit(f"/playground?from={id}")
    assert (reply.status, b"too much to edit" in reply.body) == (400, True)
