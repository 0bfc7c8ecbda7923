"""The playground over HTTP: what a form says, runs and their records, with and without scripts."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.processes import Server, Upstream, run_server
from tests.waiting import PATIENCE_S, wait_for
from tests.web.test_completion import HOSTILE, record
from tests.web.test_routes import create_key
from tests.web.visitor import Visitor

TINY = "local/briggs-tiny"
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief.\r\nBe exact."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
]
ASKED = {"model": "ok/m-1", "messages": MESSAGES, "temperature": 0.2, "vendor_option": [1]}


def read_fields(page: str) -> dict[str, Any]:
    """The fields of the editor as a browser without scripts would send them."""
    fields: dict[str, Any] = {}
    found = re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    found += re.findall(r'<input [^>]*?name="([^"]+)"[^>]*? value="([^"]*)"', page)
    for name, value in found:
        fields.setdefault(unescape(name), unescape(value).replace("\n", "\r\n"))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', page):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = unescape(chosen[1]) if chosen else ""
    return fields


def read_request(page: str) -> dict[str, Any]:
    return dict(json.loads(read_fields(page)["request"]))


def ask(**members: Any) -> str:
    """A request for the field `request`."""
    return json.dumps({"messages": [{"role": "user", "content": "Say hello"}], **members})


def run(visitor: Visitor, **fields: Any) -> list[dict[str, Any]]:
    """The events of one run, as a script reads them."""
    reply = visitor.send(
        "POST",
        "/playground/run",
        urlencode(fields).encode(),
        headers={
            "x-csrf-token": visitor.csrf,
            "content-type": "application/x-www-form-urlencoded",
            "origin": visitor.server.url,
        },
    )
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in reply.body.splitlines()]


def read_ids(path: str) -> list[str]:
    return parse_qs(urlsplit(path).query)["runs"][0].split(",")


def retrieve(visitor: Visitor, id: str) -> dict[str, Any]:
    """What the record says of a run, and its answer as `choices`."""
    said = visitor.server.retrieve(id, "request")
    return {**said["briggs"], "choices": said["choices"]}


@contextlib.contextmanager
def open_server(upstream: Upstream, folder: Path) -> Iterator[Server]:
    """A server with providers that answer, fail, or have no key."""
    config = upstream.config() + '[providers.keyless]\nkind = "groq"\n'
    config += '[providers.away]\nbase_url = "http://127.0.0.1:1/v1"\n'
    with run_server(folder / "data", config=config) as server:
        yield server


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with open_server(upstream, tmp_path_factory.mktemp("playground")) as server:
        yield server


@pytest.fixture(scope="module")
def recorded(server: Server) -> str:
    return str(server.find(server.chat(ASKED))["id"])


def test_an_unchanged_form_is_the_request(visitor: Visitor, recorded: str) -> None:
    """What the form shows comes back as it was, and what it does not show is not lost."""
    page = visitor.visit(f"/playground?from={recorded}").body.decode()
    fields = read_fields(page)
    assert fields["text.1.0"] == "What is this?"
    assert fields["arguments.2.0"] == "{}"
    again = visitor.submit("/playground", **fields, action="look").body.decode()
    expected = {name: ASKED[name] for name in ASKED if name != "model"}
    assert read_request(again) == {**expected, "logprobs": True, "top_logprobs": 5}
    assert "0 changes" in again
    assert "image_url" in again


def test_changes_are_marked_against_the_record(visitor: Visitor, recorded: str) -> None:
    """Words that were added are marked in the text, and every change is counted and named."""
    fields = read_fields(visitor.visit(f"/playground?from={recorded}").body.decode())
    fields |= {
        "text.0": fields["text.0"] + " Say so once.",
        "parameter.temperature": "1",
        "text.3": "a dog",
    }
    page = visitor.submit("/playground", **fields, action="look").body.decode()
    assert "3 changes against the record" in page
    assert "<ins> Say so once.</ins>" in page
    assert "temperature 1" in page
    assert "<del>cat</del><ins>dog</ins>" in page
    asked = read_request(page)
    assert asked["temperature"] == 1
    assert asked["messages"][1] == MESSAGES[1]


def test_messages_and_tools_are_added_moved_and_removed(visitor: Visitor) -> None:
    """Every button of the form works without scripts."""
    visitor.visit("/playground")

    def press(action: str, request: dict[str, Any], **fields: str) -> dict[str, Any]:
        reply = visitor.submit("/playground", request=json.dumps(request), action=action, **fields)
        assert reply.status == 200
        return read_request(reply.body.decode())

    said = {"role": "user", "content": "a"}
    asked = press("add", {"messages": [said]})
    assert asked["messages"] == [said, {"role": "assistant", "content": ""}]
    asked = press("call.1", asked)
    [call] = asked["messages"][1]["tool_calls"]
    asked = press("look", asked, **{"name.1.0": "look_up", "arguments.1.0": '{"a": 1}'})
    assert asked["messages"][1]["tool_calls"][0]["function"] == {
        "name": "look_up",
        "arguments": '{"a": 1}',
    }
    assert call["id"] == "call_1"
    asked = press("uncall.1.0", asked)
    assert "tool_calls" not in asked["messages"][1]
    asked = press("up.1", asked)
    assert [each["role"] for each in asked["messages"]] == ["assistant", "user"]
    assert press("remove.0", asked)["messages"] == [said]
    assert press("add-system", asked)["messages"][0] == {"role": "system", "content": ""}
    asked = press("add-tool", asked)
    assert asked["tools"][0]["type"] == "function"
    assert "tools" not in press("remove-tool.0", asked)
    for nonsense in ("remove.9", "up.0", "call.x", "uncall.0", "tab.x", "targets.9", "x" * 999):
        assert press(nonsense, asked) == asked


def test_the_request_is_edited_as_json(visitor: Visitor) -> None:
    """JSON replaces the request. What is not JSON stays in its field, with the reason."""
    visitor.visit("/playground")
    page = visitor.submit("/playground", request=ask(), action="tab.json").body.decode()
    assert json.loads(read_fields(page)["json"]) == json.loads(ask())
    fields = {"request": ask(), "tab": "json", "json": ask(top_p=0.5)}
    page = visitor.submit("/playground", **fields, action="tab.messages").body.decode()
    assert read_request(page)["top_p"] == 0.5
    for wrong in ('{"messages": ', "[]", '{"messages": 1}', "NaN", "[" * 5000):
        fields["json"] = wrong
        page = visitor.submit("/playground", **fields, action="run", model=TINY).body.decode()
        assert 'role="alert"' in page
        assert read_fields(page)["json"] == wrong
    tool = {"request": ask(tools=[{"type": "function"}]), "tab": "tools", "tool.0": "{"}
    page = visitor.submit("/playground", **tool, action="tab.messages").body.decode()
    assert "This is not JSON" in page
    assert read_fields(page)["tool.0"] == "{"


def test_parameters_are_json_or_text(visitor: Visitor) -> None:
    """A value is read as JSON if it is JSON, and an empty one is not sent."""
    visitor.visit("/playground")
    fields = {
        "request": ask(temperature=1, user="5", stop="\n"),
        "parameter.temperature": "",
        "parameter.user": '"5"',
        "parameter.stop": '"\\n"',
        "parameter.seed": "7",
        "parameter.reasoning_effort": "low",
        "parameter.model": "not here",
    }
    page = visitor.submit("/playground", **fields, action="tab.parameters").body.decode()
    asked = read_request(page)
    del asked["messages"]
    assert asked == {"user": "5", "stop": "\n", "seed": 7, "reasoning_effort": "low"}


def test_a_run_is_told_as_it_is_answered(visitor: Visitor) -> None:
    """Tokens come with their level, and the end with the card, once the call is on record."""
    visitor.visit("/playground")
    asked = ask(logprobs=True, top_logprobs=5, max_tokens=8, temperature=1, seed=7)
    events = run(visitor, request=asked, model=TINY)
    assert (events[0]["is"], events[-1]["is"], events[-1]["status"]) == (
        "begun",
        "ended",
        "finished",
    )
    pieces = [piece for event in events if event["is"] == "text" for piece in event["pieces"]]
    said = retrieve(visitor, events[-1]["id"])
    assert "".join(text for text, _ in pieces) == said["choices"][0]["message"]["content"]
    assert all(level in range(8) for _, level in pieces)
    assert said["tags"] == ["playground"]
    assert said["key_id"]
    assert said["request"]["messages"] == json.loads(asked)["messages"]
    assert re.search('class="?strip', events[-1]["card"])
    assert "Better" in events[-1]["card"]


def test_logprobs_that_are_refused_are_left_out(visitor: Visitor) -> None:
    """If a provider refuses logprobs, it is asked again without them, and the card says so."""
    visitor.visit("/playground")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    asked = ask(logprobs=True, top_logprobs=5, max_tokens=4, tools=[tool])
    events = run(visitor, request=asked, model=TINY)
    assert events[-1]["status"] == "finished"
    assert "asked again without them" in events[-1]["card"]
    first, second = (event["id"] for event in events if event["is"] == "begun")
    assert retrieve(visitor, first)["status"] == "failed"
    assert "logprobs" not in retrieve(visitor, second)["request"]
    tried = visitor.visit("/playground/tried").body.decode()
    assert first not in tried
    assert second in tried


def test_an_answer_without_logprobs_says_why(visitor: Visitor) -> None:
    """A provider that sends none is named."""
    visitor.visit("/playground")
    asked = json.loads(ask(logprobs=True))
    asked["messages"][0]["content"] = "one two"
    events = run(visitor, request=json.dumps(asked), model="ok/m-1")
    pieces = [piece for event in events if event["is"] == "text" for piece in event["pieces"]]
    assert pieces == [["one", None], ["two", None]]
    assert "ok sent no logprobs." in events[-1]["card"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("keyless/x", "GROQ_API_KEY"),
        ("nobody/x", "There is no provider &#39;nobody&#39;"),
        ("away/x", "away"),
        ("broken/x", "boom"),
        ("cut_stream/x", "cut_stream"),
    ],
)
def test_a_failed_run_says_what_to_do(visitor: Visitor, model: str, said: str) -> None:
    """The card has the error's message, and the call is on record."""
    visitor.visit("/playground")
    end = run(visitor, request=ask(), model=model)[-1]
    assert end["status"] == "failed"
    assert said in end["card"]
    assert retrieve(visitor, end["id"])["status"] == "failed"


def test_a_refused_request_is_explained(visitor: Visitor) -> None:
    """A request that breaks the specification ends with the reason, not with an error page."""
    visitor.visit("/playground")
    end = run(visitor, request=ask(metadata={"a": 1}), model=TINY)[-1]
    assert end["status"] == "failed"
    assert "metadata" in end["card"]
    without = {"x-csrf-token": visitor.csrf, "hx-request": "true"}
    reply = visitor.send("POST", "/playground/run", b"request={}", headers=without)
    assert reply.status == 400


def test_whoever_stops_is_recorded(visitor: Visitor) -> None:
    """If the browser leaves, the upstream is cancelled and the record says what had come."""
    visitor.visit("/playground")
    server = visitor.server
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = {
        "cookie": cookie,
        "x-csrf-token": visitor.csrf,
        "content-type": "application/x-www-form-urlencoded",
        "accept": "text/html",
    }
    with contextlib.closing(connection):
        fields = urlencode({"request": ask(), "model": "goes_on/x"})
        connection.request("POST", "/playground/run", body=fields, headers=headers)
        answer = connection.getresponse()
        id = json.loads(answer.readline())["id"]
        while b"w3" not in answer.readline():
            pass
        answer.close()
    wait_for(lambda: retrieve(visitor, id)["status"] != "started")
    said = retrieve(visitor, id)
    assert (said["status"], said["failure_kind"]) == ("failed", "hang_up")
    card = visitor.visit(f"/playground/runs/{id}").body.decode()
    assert "You stopped it." in card
    assert "w2" in card


def test_a_form_runs_on_every_target(visitor: Visitor, recorded: str) -> None:
    """Without scripts, the answers come whole, and their address shows them again."""
    visitor.visit(f"/playground?from={recorded}")
    fields = {"request": ask(max_tokens=4, temperature=1), "from": recorded}
    models = [TINY, "ok/m-1", "keyless/x"]
    page = visitor.submit("/playground", **fields, model=models, action="run").body.decode()
    ids = read_ids(visitor.path)
    assert [retrieve(visitor, id)["status"] for id in ids] == ["finished", "finished", "failed"]
    assert "GROQ_API_KEY" in page
    assert re.findall(r'name="model"[^>]* value="([^"]*)"', page)[:3] == models
    assert read_request(page)["messages"] == json.loads(ask())["messages"]
    assert f"/compare?ids={ids[0]},{ids[1]}" in page or f"/compare?ids={ids[1]},{ids[0]}" in page
    assert "3 targets" in page


def test_better_records_a_preference(visitor: Visitor) -> None:
    """A preference compares the runs of the page, and is exported as a pair."""
    visitor.visit("/playground")
    asked, models = ask(max_tokens=6, temperature=1), [TINY, "ok/m-1"]
    visitor.submit("/playground", request=asked, model=models, action="run")
    ids = read_ids(visitor.path)
    reply = visitor.submit(
        "/playground/better", runs=",".join(ids), compared=",".join(ids), best=ids[1]
    )
    assert reply.status == 200
    exported = visitor.server.send("GET", "/api/v1/preferences/export").body
    pairs = [json.loads(line) for line in exported.splitlines()]
    assert (ids[1], ids[0]) in [(pair["chosen_id"], pair["rejected_id"]) for pair in pairs]
    reply = visitor.post("/playground/better", compared=ids[0], best=ids[0])
    assert reply.status == 400


def test_hostile_text_is_text(visitor: Visitor) -> None:
    """What models, users and records say is never markup, in the form, the cards or the list."""
    asked = {"messages": [{"role": HOSTILE, "content": HOSTILE}], HOSTILE: HOSTILE}
    id = record(visitor.server, asked, tags=["playground"], response={"choices": []})
    page = visitor.visit(f"/playground?from={id}&tab=parameters&model={'x' * 500}").body.decode()
    assert "<script>alert" not in page
    visitor.visit("/playground")
    fields = {"request": json.dumps({"messages": [{"role": "user", "content": HOSTILE}]})}
    events = run(visitor, **fields, model="ok/m-1")
    assert "<script>alert" not in events[-1]["card"]
    assert "\u202e" not in events[-1]["card"]


def test_curl_has_the_edited_request(visitor: Visitor) -> None:
    """The command has the request as it is now, and no key."""
    visitor.visit("/playground")
    fields = {"request": ask(), "text.0": "it's", "model": TINY}
    reply = visitor.submit("/playground", **fields, action="curl")
    assert reply.headers["content-type"].startswith("text/plain")
    assert b"it\\u0027s" in reply.body
    assert b"$BRIGGS_API_KEY" in reply.body
    assert TINY.encode() in reply.body


def test_models_are_those_of_the_api(visitor: Visitor) -> None:
    """The names that a target can have are those that `/v1/models` lists."""
    listed = json.loads(visitor.send("GET", "/playground/models").body)
    api = visitor.server.send("GET", "/v1/models").json["data"]
    assert listed == [model["id"] for model in api]
    assert TINY in listed


def test_a_key_without_read_sees_no_record(server: Server, recorded: str) -> None:
    """A key that only answers can run, and sees its own answer, but nothing of the record."""
    visitor = Visitor(server, key=create_key(server, "answer"))
    page = visitor.visit("/playground").body.decode()
    assert "your key cannot read the record" in page
    for path in (f"?from={recorded}", f"?runs={recorded}", "/tried", f"/runs/{recorded}"):
        assert visitor.visit(f"/playground{path}").status == 403, path
    fields = {"request": ask(), "model": "ok/m-1"}
    page = visitor.submit("/playground", **fields, action="run").body.decode()
    assert "hello" in page
    assert "Open record" not in page
    assert visitor.post("/playground/better", compared="a,b", best="a").status == 403


def test_another_organization_sees_nothing(server: Server, recorded: str) -> None:
    """Another organization's record is not found, and its runs are neither shown nor preferred."""
    acme = server.send("POST", "/api/v1/organizations", {"slug": "acme"}).json["key"]["value"]
    visitor = Visitor(server, key=acme)
    assert visitor.visit(f"/playground?from={recorded}").status == 404
    assert visitor.visit(f"/playground/runs/{recorded}").status == 404
    page = visitor.visit(f"/playground?runs={recorded}").body
    assert b"a cat" not in page
    assert b"nothing yet" in page
    assert visitor.post("/playground/better", compared=f"{recorded},x", best="x").status == 404


def test_what_is_not_there_is_an_error(visitor: Visitor) -> None:
    """An unknown record is said. A form without a request is refused."""
    assert visitor.visit("/playground?from=nothing").status == 404
    assert visitor.visit("/playground/runs/nothing").status == 404
    assert visitor.visit("/playground?runs=nothing").status == 200
    assert visitor.post("/playground", action="run").status == 400
    assert visitor.post("/playground", request="[" * 100_000).status == 400
    deep = '{"messages": [{"role": "user", "content": ' + "[" * 900 + "]" * 900 + "}]}"
    assert visitor.post("/playground", request=deep, action="tab.json").status in (200, 400)


def test_a_blank_system_message_is_not_sent(visitor: Visitor) -> None:
    """A system message in which nothing was written stays in the form and goes to no model."""
    messages = [
        {"role": "system", "content": " \n"},
        {"role": "developer", "content": [{"type": "text", "text": ""}]},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": ""},
    ]
    fields = {"request": json.dumps({"messages": messages}), "model": "ok/m-1"}
    visitor.visit("/playground")
    visitor.submit("/playground", **fields, action="run")
    (id,) = read_ids(visitor.path)
    assert retrieve(visitor, id)["request"]["messages"] == messages[2:]
    curl = visitor.submit("/playground", **fields, action="curl").body.decode()
    assert "Be brief." in curl and "developer" not in curl
    assert "text.3" in visitor.submit("/playground", **fields, action="look").body.decode()


def test_a_bare_name_of_elsewhere_is_not_offered(tmp_path: Path) -> None:
    """Without a provider, a logged call's model is not taken for the built-in one's."""
    with run_server(tmp_path / "data") as server:
        call = {"kind": "chat", "request": {"model": "gpt-4o", "messages": []}}
        post = {"organization_id": "default", "status": "finished", **call}
        id = server.send("POST", "/api/v1/completions", post).json["id"]
        page = Visitor(server).visit(f"/playground?from={id}").body.decode()
        assert f'value="{TINY}"' in page and 'value="gpt-4o"' not in page


def test_the_first_model_is_ready(upstream: Upstream, tmp_path: Path) -> None:
    """The model field begins with the model used last, or with one that has its key. A logged
    call's model is taken if this server can ask it."""
    config = upstream.config() + (
        '[providers.keyless]\nkind = "groq"\n'
        '[models.locked]\ntargets = ["keyless/m"]\n'
        '[models.nested]\ntargets = ["locked", "ok/m-1"]\n'
    )
    with run_server(tmp_path / "data", config=config) as server:
        visitor = Visitor(server)

        def offered(path: str = "/playground") -> str:
            page = visitor.visit(path).body.decode()
            found = re.search(r'name="model"[^>]* value="([^"]*)"', page)
            assert found is not None
            return found[1]

        assert offered() == "nested"
        for model in ("ok/m-2", "keyless/m-3"):
            server.chat({"model": model, "messages": [{"role": "user", "content": "hi"}]})
        assert offered() == "ok/m-2"
        for model, first in (("gpt-4o", "ok/m-2"), ("ok/m-9", "ok/m-9"), ("", "ok/m-2")):
            call = {"kind": "chat", "request": {"model": model, "messages": []}}
            post = {"organization_id": "default", "status": "finished", **call}
            id = server.send("POST", "/api/v1/completions", post).json["id"]
            assert offered(f"/playground?from={id}") == first
