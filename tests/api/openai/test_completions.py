"""OpenAI's stored-completions API over the record, driven by OpenAI's own package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import openai
import pytest

from briggs.api import health
from briggs.api.openai.routes import ROUTES
from briggs.record.stored import present
from briggs.types import json
from briggs.types.completion_filters import VOCABULARY
from briggs.types.completions import Completion
from tests.processes import Server, Upstream, create_response, run_server
from tests.record.test_reported import count_calls, create_large


@pytest.fixture(scope="module")
def stored(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a record of its own: five finished calls and one that failed."""
    data = tmp_path_factory.mktemp("stored") / "data"
    with run_server(data, config=upstream.config()) as server:
        for number in range(5):
            reply = server.chat(
                {
                    "model": "ok/m-1" if number % 2 == 0 else "gzipped/m-2",
                    "messages": [{"role": "user", "content": f"word{number} Ünïcode"}],
                    "metadata": {
                        "number": str(number),
                        "kind": "even" if number % 2 == 0 else "odd",
                    },
                    "stream": number == 4,
                    "user": "somebody",
                    "seed": number,
                },
                headers={"x-briggs-session": "s-1", "x-briggs-tags": f"all, t{number}, all"},
            )
            assert reply.status == 200, reply.body
        assert server.chat({"model": "broken/m", "messages": [{"role": "user", "content": "x"}]})
        yield server


@pytest.fixture
def client(stored: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stored.url}/v1", api_key=stored.key) as client:
        yield client


def test_list_walks_every_page(client: openai.OpenAI) -> None:
    """The package's own paging visits every finished completion once, oldest first."""
    ids = [completion.id for completion in client.chat.completions.list(limit=2)]
    assert len(ids) == len(set(ids)) == 5
    assert ids == sorted(ids)
    backwards = [one.id for one in client.chat.completions.list(limit=2, order="desc")]
    assert backwards == ids[::-1]


async def test_async_list(stored: Server) -> None:
    """The async client reads the same."""
    async with openai.AsyncOpenAI(base_url=f"{stored.url}/v1", api_key=stored.key) as client:
        contents = [
            one.choices[0].message.content async for one in client.chat.completions.list(limit=3)
        ]
    assert len(contents) == 5
    assert contents[4] == "word4Ünïcode"


def test_filters(client: openai.OpenAI) -> None:
    """Metadata pairs are ANDed. The model is the requested one or the one that answered."""
    complete = client.chat.completions
    assert len(complete.list(metadata={"kind": "even"}).data) == 3
    assert len(complete.list(metadata={"kind": "even", "number": "2"}).data) == 1
    assert len(complete.list(metadata={"kind": "odd", "number": "2"}).data) == 0
    assert len(complete.list(model="gzipped/m-2").data) == 2
    assert len(complete.list(model="m-1").data) == 5


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"status": "any"}, 6),
        ({"status": "failed"}, 1),
        ({"tag": "all"}, 5),
        ({"tag": ["all", "t3"]}, 1),
        ({"session_id": "s-1"}, 5),
        ({"session_id": "s-2"}, 0),
        ({"provider": "gzipped"}, 2),
        ({"text": "ÜNÏ"}, 5),
        ({"text": "word2"}, 1),
        ({"created[gte]": "1"}, 5),
        ({"created[lt]": "1"}, 0),
        ({"user": "somebody"}, 5),
        ({"user": "else"}, 0),
        ({"source": "gateway"}, 5),
        ({"source": "client"}, 0),
        ({"finish_reason": "stop"}, 5),
        ({"finish_reason": "length"}, 0),
        ({"failure_kind": "timeout", "status": "any"}, 0),
        ({"duration_ms_min": "0"}, 5),
        ({"duration_ms_min": "1e9"}, 0),
        ({"duration_ms_max": "1e9"}, 5),
        ({"cost_usd_max": "1000"}, 0),
        ({"limit": "0"}, 0),
    ],
)
def test_more_filters(client: openai.OpenAI, query: dict[str, str], count: int) -> None:
    """Filters that OpenAI's API does not have are extra query parameters."""
    assert len(client.chat.completions.list(extra_query=query).data) == count


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"duration_ms_min": "soon"}, "duration_ms_min"),
        ({"duration_ms_max": "-1"}, "duration_ms_max"),
        ({"cost_usd_min": "nan"}, "cost_usd_min"),
        ({"cost_usd_max": "9" * 5_000}, "cost_usd_max"),
        ({"cost_usd_min": "2", "cost_usd_max": "1"}, "cost_usd_min"),
        ({"source": "elsewhere"}, "source"),
        ({"user": "u" * 1_001}, "user"),
        ({"finish_reason": "f" * 1_001}, "finish_reason"),
        ({"count": "maybe"}, "count"),
        ({"failure": "x"}, "failure"),
    ],
)
def test_a_bad_filter_is_named(stored: Server, query: dict[str, str], param: str) -> None:
    """A value out of its bounds is refused, and the error names the key."""
    reply = stored.send("GET", f"/v1/chat/completions?{urlencode(query)}")
    assert (reply.status, reply.json["error"]["param"]) == (400, param)
    assert len(reply.json["error"]["message"]) < 1_000


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions?",
        "/api/v1/statistics?",
        "/api/metrics/modelStats?startDate=2026-01-01&endDate=2026-01-02&",
    ],
)
@pytest.mark.parametrize("member", ["tag={}", "metadata[{}]=x", "tags={}"])
def test_too_many_filters(stored: Server, path: str, member: str) -> None:
    """More tags and pairs of metadata than a statement can join are refused at once."""
    query = "&".join(member.format(number) for number in range(1_500))
    reply = stored.send("GET", f"{path}{query}")
    assert reply.status in (200, 400)
    is_read = ("tags" in member) == ("modelStats" in path)
    assert not is_read or (reply.status == 400 and b"more than 50 tags" in reply.body)


def test_many_filters(stored: Server) -> None:
    """A tag that is named again and again counts once, and 50 filters work."""
    tags = "tag=all&" * 5_000
    pairs = "&".join(f"metadata[{number}]=x" for number in range(49))
    assert len(stored.send("GET", f"/v1/chat/completions?{tags}").json["data"]) == 5
    assert stored.send("GET", f"/v1/chat/completions?{tags}{pairs}").json["data"] == []


@pytest.mark.parametrize("filters", ["", "&text=word", "&tag=all", "&order=desc"])
def test_a_page_can_count_all_that_match(stored: Server, filters: str) -> None:
    """`count=true` gives the number on all pages together, also from a later page."""
    page = stored.send("GET", f"/v1/chat/completions?count=true&limit=2{filters}").json
    assert (page["count"], page["count_is_exact"], len(page["data"])) == (5, True, 2)
    after = f"&after={page['last_id']}"
    later = stored.send("GET", f"/v1/chat/completions?count=true&limit=0{filters}{after}").json
    assert (later["count"], later["data"]) == (5, [])
    assert "count" not in stored.send("GET", "/v1/chat/completions").json


def test_retrieve_by_either_id(client: openai.OpenAI) -> None:
    """A completion is found by our id, or by the upstream's: then the newest with that id."""
    ours = client.chat.completions.list(limit=1).data[0]
    assert client.chat.completions.retrieve(ours.id).id == ours.id
    newest = client.chat.completions.list(limit=1, order="desc", extra_query={"status": "any"})
    by_theirs = client.chat.completions.retrieve("chatcmpl-upstream")
    assert by_theirs.id != ours.id
    assert by_theirs.id <= newest.data[0].id


def test_any_id_is_a_cursor(client: openai.OpenAI) -> None:
    """`after` accepts every id that retrieves a completion, and the ids of messages."""
    complete = client.chat.completions
    newest = complete.retrieve("chatcmpl-upstream")
    for id in (newest.id, f"chatcmpl-{newest.id}", "chatcmpl-upstream"):
        assert complete.retrieve(id).id == newest.id
        pages = [complete.list(after=id, order=order, limit=100).data for order in ("asc", "desc")]
        found = [one.id for page in pages for one in page]
        assert newest.id not in found
        assert all(one.id > newest.id for one in pages[0])
        assert all(one.id < newest.id for one in pages[1])
        for message in (f"{newest.id}-0", f"{id}-0"):
            assert complete.messages.list(id, after=message).data == []
    with pytest.raises(openai.BadRequestError, match="Send the id"):
        complete.list(after="chatcmpl-nobody")


def test_the_id_of_an_answer_finds_its_record(stored: Server, client: openai.OpenAI) -> None:
    """The id that `create` returns retrieves the completion. Lists show it as `response_id`."""
    made = client.chat.completions.create(
        model="local/briggs-tiny", messages=[{"role": "user", "content": "one"}], max_tokens=2
    )
    found = stored.retrieve(made.id)
    assert found["briggs"]["response_id"] == made.id
    assert found["id"] == found["briggs"]["id"]
    client.chat.completions.delete(made.id)


def test_record_beside_the_response(stored: Server, client: openai.OpenAI) -> None:
    """The rest of the record, which OpenAI's object lacks, is in the member `briggs`."""
    first = client.chat.completions.list(limit=1).data[0]
    record = stored.retrieve(first.id, "request")["briggs"]
    assert record["tags"] == ["all", "t0"]
    assert record["session_id"] == "s-1"
    assert record["user"] == "somebody"
    assert record["seed"] == 0
    assert record["response_id"] == "chatcmpl-upstream"
    assert record["request"]["metadata"]["number"] == "0"
    assert 0 < record["duration_ms"] < 60_000


def test_messages(client: openai.OpenAI) -> None:
    """The messages of the request have ids of their own and are paged."""
    stored = client.chat.completions.list(limit=1).data[0]
    messages = client.chat.completions.messages.list(stored.id)
    assert [message.id for message in messages] == [f"{stored.id}-0"]
    assert messages.data[0].content == "word0 Ünïcode"


def test_update_metadata(client: openai.OpenAI) -> None:
    """New metadata replaces the old, both in the answer and in searches."""
    stored = client.chat.completions.list(limit=1).data[0]
    updated = client.chat.completions.update(stored.id, metadata={"grade": "good"})
    assert updated.metadata == {"grade": "good"}
    found = client.chat.completions.list(metadata={"grade": "good"}).data
    assert [one.id for one in found] == [stored.id]
    client.chat.completions.update(stored.id, metadata={"kind": "even", "number": "0"})


def test_bad_metadata(stored: Server, client: openai.OpenAI) -> None:
    """Metadata beyond the specification's limits is refused by name."""
    one = client.chat.completions.list(limit=1).data[0]
    for metadata in ({"k" * 65: "v"}, {"k": "v" * 513}, {str(n): "v" for n in range(17)}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.update(one.id, metadata=metadata)
    reply = stored.send("POST", f"/v1/chat/completions/{one.id}", {"status": "failed"})
    assert reply.json["error"]["param"] == "metadata"


def test_delete(stored: Server, client: openai.OpenAI) -> None:
    """A deleted completion is gone, and a second delete says so."""
    reply = stored.chat({"model": "ok/m", "messages": [{"role": "user", "content": "secret-text"}]})
    id = reply.headers["x-briggs-completion-id"]
    assert client.chat.completions.delete(id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(id)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.delete(id)
    assert not client.chat.completions.list(extra_query={"text": "secret-text"}).data


def test_keys(stored: Server) -> None:
    """A key is shown once, works until it is revoked, and cannot revoke itself."""
    path = "/v1/organization/admin_api_keys"
    created = stored.send("POST", path, {"name": "laptop", "scopes": ["admin", "answer"]}).json
    assert created["value"].startswith("sk-briggs-")
    assert stored.send("GET", "/v1/models", key=created["value"]).status == 200
    listed = stored.send("GET", path).json["data"]
    assert [key["name"] for key in listed] == ["admin", "laptop"]
    assert all("value" not in key for key in listed)
    own = stored.send("DELETE", f"{path}/{created['id']}", key=created["value"])
    assert own.status == 400
    assert stored.send("DELETE", f"{path}/{created['id']}").json["deleted"] is True
    assert stored.send("GET", "/v1/models", key=created["value"]).status == 401
    assert stored.send("DELETE", f"{path}/{created['id']}").status == 404


def test_no_route_is_open(stored: Server) -> None:
    """Every route but /health refuses a caller without a key."""
    for route in [*ROUTES, *health.ROUTES]:
        path = route.path.replace("{id}", "x").replace("{id:path}", "x")
        for method in route.methods or ():
            reply = stored.send(method, path, key=None)
            assert reply.status == (200 if path in health.OPEN_PATHS else 401), (method, path)


def test_models(client: openai.OpenAI) -> None:
    """Models are listed as provider/model, and retrieved by ids that contain slashes."""
    ids = [model.id for model in client.models.list()]
    assert "local/briggs-tiny" in ids
    assert client.models.retrieve("local/briggs-tiny").id == "local/briggs-tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("local/none")


def test_the_data_folder_is_private(stored: Server) -> None:
    """Only their owner can read the folder, the key and the record."""
    folder: Path = stored.data
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("admin.key", "briggs.db"):
        assert (folder / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("filter", "count"),
    [
        ("tag = t3", 1),
        ("metadata.kind = odd or tag = t4", 3),
        ("status = failed", 1),
        ("not status = failed", 5),
        ('"WORD3"', 1),
        ('tag = all "word"', 5),
        ("tokens > 0 and p_least = none", 5),
        ("key != none", 6),
        ("graded = none and created >= 2020-01-01", 6),
    ],
)
def test_the_grammar(client: openai.OpenAI, filter: str, count: int) -> None:
    """The list takes conditions of any form, and any status unless one is named."""
    page = client.chat.completions.list(limit=100, extra_query={"filter": filter, "sort": "tokens"})
    assert len(page.data) == count


def test_a_filter_says_what_was_meant(stored: Server) -> None:
    """A field that does not exist is an error with its place and the likely name."""
    for filter, said in (
        ("modle = x", "Did you mean 'model'?"),
        ("duration > 2", "2s or 300ms"),
        ("grade.nothing.x = 1", "no feedback task"),
        ("tag = a and " * 200, "no more than 100 conditions"),
    ):
        query = urlencode({"filter": filter})
        reply = stored.send("GET", f"/v1/chat/completions?{query}")
        assert (reply.status, reply.json["error"]["param"]) == (400, "filter")
        assert said in reply.json["error"]["message"]
    assert stored.send("GET", "/v1/chat/completions?sort=size").status == 400


def test_every_field_of_filters_is_documented() -> None:
    """The page of completions has a row for every field, with its description."""
    page = (Path(__file__).parents[3] / "docs/completions.md").read_text()
    for field in (*VOCABULARY.fields, *VOCABULARY.families.values()):
        assert f"| `{field.name}` | {field.about}" in page, field.name


def test_a_large_answer(stored: Server) -> None:
    """An answer of many tokens comes back whole, from a report, a call, a list and its page."""
    words = [f" wörd{number % 97}" for number in range(2_000)]
    tokens = [
        {"token": each, "logprob": -0.5, "bytes": list(each.encode()), "top_logprobs": []}
        for each in words
    ]
    answer = create_response("".join(words))
    answer["choices"][0] |= {"logprobs": {"content": tokens, "refusal": None}, "text": "é\ud83d"}
    call = {"kind": "chat", "request": {"model": "m", "messages": []}, "response": answer}
    post = {"organization_id": "default", "status": "finished", **call}
    id = stored.send("POST", "/api/v1/completions", post).json["id"]
    (listed,) = stored.send("GET", "/v1/chat/completions?source=client").json["data"]
    one = stored.send("GET", f"/v1/chat/completions/{id}").json
    assert listed["choices"] == one["choices"] == answer["choices"]
    assert (one["id"], one["object"], one["briggs"]["source"]) == (id, "chat.completion", "client")


def test_a_longer_answer_takes_no_more_steps_to_show() -> None:
    """Presenting ten times the tokens runs not one function more, and loses nothing."""
    counts = []
    for source in ("gateway", "client"):
        for tokens in (3_000, 30_000):
            body = json.encode_plain(create_large(tokens))
            completion = Completion(organization_id="o", model="m", source=source, response=body)
            counts.append(count_calls(lambda one: json.encode(present(one)), completion))
            shown = json.decode(json.encode(present(completion)))
            assert shown["choices"] == json.decode(body)["choices"]
            laid_out = msgspec.json.format(body, indent=1)
            completion = Completion(organization_id="o", source=source, response=laid_out)
            assert b"\n" not in json.encode(present(completion)), "a line of an export"
    assert counts[0] == counts[1] and counts[2] == counts[3]
