"""`/v1/responses` over a real server, as OpenAI's own package uses it in strict validation."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from briggs.types.completions import create_id
from briggs.wires.openai.responses.answer import write_id
from tests.api.behaviours import ok
from tests.api.openai.upstreams import (
    CALL,
    MESSAGE,
    SEARCH,
    THOUGHT,
    answers,
    create_response,
    list_events,
    send,
    write_events,
    write_whole,
)
from tests.processes import Reply, Server, Upstream, create_chunk, run_server
from tests.processes import create_response as create_chat
from tests.waiting import wait_for

OUTPUT = (THOUGHT, SEARCH, MESSAGE, CALL)
PASSING = ("passes", "remembers", "pieces-1", "pieces-7", "pieces-100", "fails", "cut", "slow")


def call_tool(handler: Any, seen: Any) -> None:
    """Calls the first tool, or says what it said."""
    messages, tools = seen.json["messages"], seen.json.get("tools")
    if not tools or messages[-1]["role"] == "tool":
        ok(handler, seen)
        return
    function = {"name": tools[0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    if not seen.json.get("stream"):
        answer = create_chat()
        message = {"content": None, "tool_calls": [call, {**call, "id": "call_2"}]}
        answer["choices"][0]["message"] |= message
        answer["choices"][0]["finish_reason"] = "tool_calls"
        handler.send_whole(200, json.dumps(answer).encode())
        return
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": None}))
    for index, id in enumerate(("call_1", "call_2")):
        begun = {"index": index, **call, "id": id, "function": {**function, "arguments": ""}}
        handler.write_piece(create_chunk({"tool_calls": [begun]}))
        more = {"index": index, "function": {"arguments": function["arguments"]}}
        handler.write_piece(create_chunk({"tool_calls": [more]}))
    handler.write_piece(create_chunk({}, finish_reason="tool_calls"))
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def structured(handler: Any, seen: Any) -> None:
    assert seen.json["response_format"]["json_schema"]["name"] == "City"
    handler.send_whole(200, json.dumps(create_chat('{"name": "Oslo"}')).encode())


def refuse(handler: Any, seen: Any) -> None:
    error = {"message": "no such thing", "type": "invalid_request_error", "param": "input"}
    handler.send_whole(400, json.dumps({"error": {**error, "code": None}}).encode())


def break_off(handler: Any, seen: Any) -> None:
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hel"}))
    handler.write_piece(b"")


def fail(handler: Any, seen: Any) -> None:
    """Fails as OpenAI does: whole, and in the middle of a stream."""
    error = {"code": "server_error", "message": "Oops"}
    members = {"status": "failed", "error": error, "usage": None}
    if not seen.json.get("stream"):
        handler.send_whole(200, write_whole(create_response(**members)))
        return
    begun = list_events(MESSAGE)[:6]
    failed = {"type": "response.failed", "sequence_number": 6}
    failed["response"] = create_response(**members)
    send(handler, write_events([*begun, failed]), size=200)


def cut(handler: Any, seen: Any) -> None:
    send(handler, write_events(list_events(MESSAGE)[:7]), size=200)


def remember(handler: Any, seen: Any) -> None:
    """Gives each response an id of its own."""
    answers(*OUTPUT, id=f"resp_{uuid.uuid4()}")(handler, seen)


def slow(handler: Any, seen: Any) -> None:
    stream = write_events(list_events(MESSAGE))
    handler.begin_stream()
    handler.write_piece(stream[: len(stream) // 2])
    time.sleep(5)
    handler.write_piece(stream[len(stream) // 2 :])


@pytest.fixture(scope="module")
def vendors() -> Iterator[Upstream]:
    upstream = Upstream(
        {
            "ok": ok,
            "tools": call_tool,
            "structured": structured,
            "refuses": refuse,
            "breaks": break_off,
            "passes": answers(*OUTPUT),
            "remembers": remember,
            **{f"pieces-{size}": answers(*OUTPUT, size=size) for size in (1, 7, 100)},
            "fails": fail,
            "cut": cut,
            "slow": slow,
        }
    )
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(vendors: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = vendors.config()
    for name in PASSING:
        config = config.replace(f'[providers."{name}"]', f'[providers."{name}"]\nresponses = true')
    with run_server(tmp_path_factory.mktemp("responses") / "data", config=config) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with create_client(server, server.key) as client:
        yield client


def create_client(server: Server, key: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=key,
        max_retries=0,
        _strict_response_validation=True,
    )


def post(server: Server, model: str, **members: Any) -> Reply:
    return server.send("POST", "/v1/responses", {"model": model, "input": "hi", **members})


def get(server: Server, id: str, **options: Any) -> Reply:
    return server.send("GET", f"/v1/responses/{id}", **options)


# ---- Over chat completions ----------------------------------------------------------------


def test_a_whole_response(server: Server, client: openai.OpenAI) -> None:
    """OpenAI's package reads it, the record lists it, and it is retrieved byte for byte."""
    reply = post(server, "ok/m", instructions="Be brief.", metadata={"a": "b"}, user="u")
    assert reply.status == 200
    read = Response.model_validate(reply.json)
    assert (read.output_text, read.status, read.model) == ("hi", "completed", "m-1")
    assert read.usage is not None
    assert (read.usage.input_tokens, read.usage.output_tokens) == (5, 2)
    retrieved = get(server, read.id)
    assert retrieved.body == reply.body
    assert client.responses.retrieve(read.id).output_text == "hi"
    recorded = server.find(reply, "request")
    assert recorded["choices"][0]["message"]["content"] == "hi"
    assert recorded["briggs"]["kind"] == "response"
    assert recorded["briggs"]["user"] == "u"
    assert recorded["metadata"] == {"a": "b"}
    assert recorded["briggs"]["request"]["instructions"] == "Be brief."


def test_a_streamed_response(server: Server, client: openai.OpenAI) -> None:
    """Its events have all types in order, and its last one is what is retrieved."""
    with client.responses.stream(model="ok/m", input="one two three") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == "onetwothree"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events][:4] == [
        *("response.created", "response.in_progress"),
        *("response.output_item.added", "response.content_part.added"),
    ]
    reply = post(server, "ok/m", stream=True)
    last = reply.body.rstrip().rpartition(b"\ndata: ")[2]
    response = json.dumps(json.loads(last)["response"], separators=(",", ":"), ensure_ascii=False)
    assert get(server, json.loads(last)["response"]["id"]).body == response.encode()


async def test_the_asynchronous_client(server: Server) -> None:
    """It reads whole responses and streams too."""
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key=server.key, _strict_response_validation=True
    ) as client:
        whole = await client.responses.create(model="ok/m", input="hi")
        assert whole.output_text == "hi"
        stream = await client.responses.create(model="ok/m", input="hi", stream=True)
        types = [event.type async for event in stream]
    assert types[-1] == "response.completed"


class City(BaseModel):
    name: str


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    """A schema becomes a `response_format`, and the answer becomes the caller's own type."""
    parsed = client.responses.parse(model="structured/m", input="x", text_format=City)
    assert parsed.output_parsed == City(name="Oslo")


TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("continues", [False, True])
def test_tools_go_round(
    vendors: Upstream, client: openai.OpenAI, stream: bool, continues: bool
) -> None:
    """Parallel calls come as items, and their outputs go back, with or without the history."""
    asked: Any = [{"role": "user", "content": "How is the weather?"}]
    if stream:
        with client.responses.stream(model="tools/m", input=asked, tools=[TOOL]) as events:
            answer: Any = events.get_final_response()
    else:
        answer = client.responses.create(model="tools/m", input=asked, tools=[TOOL])
    assert [item.type for item in answer.output] == ["function_call"] * 2
    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{number} degrees"}
        for number, call in enumerate(answer.output)
    ]
    if continues:
        last = client.responses.create(
            model="tools/m", input=outputs, tools=[TOOL], previous_response_id=answer.id
        )
        assert last.previous_response_id == answer.id
    else:
        history = asked + [item.to_dict() for item in answer.output] + outputs
        last = client.responses.create(model="tools/m", input=history, tools=[TOOL])
    assert last.output_text == "1 degrees"
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert vendors.seen[-1].json["messages"] == [
        {"role": "user", "content": "How is the weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": id, "type": "function", "function": function} for id in ("call_1", "call_2")
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "0 degrees"},
        {"role": "tool", "tool_call_id": "call_2", "content": "1 degrees"},
    ]


def test_items_can_be_sent_by_their_ids(vendors: Upstream, client: openai.OpenAI) -> None:
    """As the AI SDK does: what the model said is sent back as a reference."""
    first = client.responses.create(model="ok/m", input="one")
    items: Any = [
        {"role": "user", "content": "one"},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "two"},
    ]
    client.responses.create(model="ok/m", input=items)
    assert vendors.seen[-1].json["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "two"},
    ]
    with pytest.raises(openai.BadRequestError, match=r"'input\[0\].id'"):
        client.responses.create(model="ok/m", input=[{"type": "item_reference", "id": "msg_x"}])
    theirs: Any = {"type": "item_reference", "id": "msg_67c"}
    client.responses.create(model="remembers/m", input=[*items, theirs])
    message = {name: value for name, value in first.output[0].to_dict().items() if name != "id"}
    assert vendors.seen[-1].json["input"] == [items[0], message, items[2], theirs]


def test_what_the_provider_cannot_do_is_refused_by_name(
    server: Server, client: openai.OpenAI
) -> None:
    """Hosted tools, and parameters that a chat completion lacks."""
    refused: list[tuple[dict[str, Any], str]] = [
        ({"tools": [{"type": "web_search"}]}, "ok does not run 'web_search' \\('tools\\[0\\]'\\)"),
        ({"truncation": "auto"}, "ok cannot express 'truncation'"),
        ({"background": True}, "'background'"),
        ({"model": "local/briggs-tiny", "tools": [{"type": "mcp"}]}, "does not run 'mcp'"),
        ({"model": "local/briggs-tiny", "truncation": "auto"}, "cannot express 'truncation'"),
    ]
    for members, message in refused:
        with pytest.raises(openai.BadRequestError, match=message):
            client.responses.create(**{"model": "ok/m", "input": "x", **members})
    with pytest.raises(openai.BadRequestError, match="no such thing") as caught:
        client.responses.create(model="refuses/m", input="x")
    assert caught.value.param == "input"
    with (
        create_client(server, "sk-none") as nobody,
        pytest.raises(openai.AuthenticationError),
    ):
        nobody.responses.create(model="ok/m", input="x")


def test_a_stream_that_breaks_fails_in_both_ways(server: Server, client: openai.OpenAI) -> None:
    """`response.failed`, and an error that OpenAI's package raises. Both can be retrieved."""
    types: list[str] = []
    failed: Any = None
    with pytest.raises(openai.APIError, match="cut its stream short"):
        for event in client.responses.create(model="breaks/m", input="x", stream=True):
            types.append(event.type)
            failed = event
    assert types[-1] == "response.failed"
    assert failed.response.error.code == "server_error"
    assert failed.response.output[0].content[0].text == "Hel"
    assert json.loads(get(server, failed.response.id).body) == json.loads(
        json.dumps(failed.response.to_dict())
    )


def test_the_built_in_model(client: openai.OpenAI) -> None:
    """A real model answers, whole and streamed, with logprobs, and remembers."""
    include: Any = ["message.output_text.logprobs"]
    asked: Any = {"model": "local/briggs-tiny", "input": "Say hello", "include": include}
    first = client.responses.create(**asked, top_logprobs=2, max_output_tokens=20)
    part: Any = first.output[0]
    assert part.content[0].text
    assert len(part.content[0].logprobs[0].top_logprobs) == 2
    with client.responses.stream(**asked, previous_response_id=first.id) as stream:
        assert stream.get_final_response().output_text


# ---- From the record ----------------------------------------------------------------------


def test_responses_can_be_continued(vendors: Upstream, client: openai.OpenAI) -> None:
    """A chain has all that came before, in order, but not its instructions."""
    first = client.responses.create(model="ok/m", input="one", instructions="Shout.")
    second = client.responses.create(model="ok/m", input="two", previous_response_id=first.id)
    client.responses.create(model="ok/m", input="three", previous_response_id=second.id)
    said = [(each["role"], each["content"]) for each in vendors.seen[-1].json["messages"]]
    assert said == [
        *(("user", "one"), ("assistant", "one"), ("user", "two"), ("assistant", "two")),
        ("user", "three"),
    ]


def test_a_response_that_is_not_stored_is_not_there(client: openai.OpenAI) -> None:
    """With `store: false`, it can neither be retrieved nor continued."""
    forgotten = client.responses.create(model="ok/m", input="one", store=False)
    assert forgotten.to_dict()["store"] is False
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(forgotten.id)
    with pytest.raises(openai.BadRequestError, match="not found") as caught:
        client.responses.create(model="ok/m", input="two", previous_response_id=forgotten.id)
    assert caught.value.code == "previous_response_not_found"


def test_references_to_too_many_responses(vendors: Upstream, client: openai.OpenAI) -> None:
    """Each response whose items a request names is looked up, so they cannot be any number."""
    items: Any = [
        {"type": "item_reference", "id": f"msg_01a227e441f67000{number:016x}i0"}
        for number in range(8 * 16**15, 8 * 16**15 + 1001)
    ]
    with pytest.raises(openai.BadRequestError, match="more than 1000 responses"):
        client.responses.create(model="ok/m", input=items)
    with pytest.raises(openai.BadRequestError, match="send the item itself"):
        client.responses.create(model="ok/m", input=items[1:])


def test_the_items_of_a_request_come_in_pages(client: openai.OpenAI) -> None:
    """Newest first, or in order, and from any item on."""
    items: Any = [
        {"role": "user", "content": "one"},
        {"type": "message", "role": "assistant", "content": "two"},
        {"role": "user", "content": [{"type": "input_image", "image_url": "data:,x"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "3"},
    ]
    response = client.responses.create(model="ok/m", input=items)
    listed = list(client.responses.input_items.list(response.id, limit=2))
    assert len({item.id for item in listed}) == 5
    assert [item.type for item in listed] == [
        *("function_call_output", "function_call", "message", "message", "message")
    ]
    page = client.responses.input_items.list(
        response.id, limit=2, order="asc", after=str(listed[-1].id)
    )
    assert [item.id for item in page.data] == [listed[3].id, listed[2].id]
    assert page.has_more
    with pytest.raises(openai.BadRequestError, match="There is no item"):
        client.responses.input_items.list(response.id, after="msg_none")


def test_a_response_can_be_deleted_and_not_cancelled(server: Server, client: openai.OpenAI) -> None:
    """Deleting removes it from the record. Cancelling is refused, since none runs any more."""
    response = client.responses.create(model="ok/m", input="one")
    with pytest.raises(openai.ConflictError, match="does not run in the background"):
        client.responses.cancel(response.id)
    client.responses.delete(response.id)
    assert get(server, response.id).status == 404
    with pytest.raises(openai.NotFoundError, match="does not count tokens"):
        client.responses.input_tokens.count(model="ok/m", input="x")


def test_a_conversation_grows_with_its_responses(
    vendors: Upstream, server: Server, client: openai.OpenAI
) -> None:
    """It is a session of the record. Each response that names it has all that came before."""
    conversation = client.conversations.create()
    assert client.conversations.retrieve(conversation.id).id == conversation.id
    for word in ("one", "two"):
        answer = client.responses.create(model="ok/m", input=word, conversation=conversation.id)
        assert answer.conversation is not None
        assert answer.conversation.id == conversation.id
    said = [each["content"] for each in vendors.seen[-1].json["messages"]]
    assert said == ["one", "one", "two"]
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=3))
    assert [item.type for item in items] == ["message"] * 4
    item = client.conversations.items.retrieve(str(items[2].id), conversation_id=conversation.id)
    assert item == items[2]
    session = server.send("GET", f"/api/v1/sessions/{conversation.id}")
    assert session.json["totals"]["completions"] == 2


def test_a_long_conversation_is_read_in_pages(
    vendors: Upstream, server: Server, client: openai.OpenAI
) -> None:
    """All that was said is there, in order, however much it is."""
    conversation = client.conversations.create().id
    words = [f"word-{number}" for number in range(53)]
    for word in words:
        assert post(server, "ok/m", input=word, conversation=conversation).status == 200
    said = [each["content"] for each in vendors.seen[-1].json["messages"]]
    assert said == [*(word for word in words[:-1] for _ in range(2)), words[-1]]


def test_what_came_before_has_the_limit_of_a_body(vendors: Upstream, tmp_path: Path) -> None:
    """A chain or a conversation that would make the request too large is refused."""
    config = f"{vendors.config()}[limits]\nbody_bytes_max = 6000\n"
    with run_server(tmp_path / "data", config=config) as server:
        conversation = server.send("POST", "/v1/conversations").json["id"]
        for name, first in (("previous_response_id", None), ("conversation", conversation)):
            given, statuses = first, []
            for _ in range(6):
                reply = post(server, "ok/m", input="x" * 800, **{name: given})
                statuses.append(reply.status)
                if name == "previous_response_id" and reply.status == 200:
                    given = reply.json["id"]
            assert (statuses[0], statuses[-1]) == (200, 413)
            assert reply.json["error"]["code"] == "request_too_large"


def test_what_a_conversation_lacks_is_refused_by_name(client: openai.OpenAI) -> None:
    """It has no items or metadata of its own, and no other conversation is known."""
    with pytest.raises(openai.BadRequestError, match="'items'"):
        client.conversations.create(items=[{"role": "user", "content": "x"}])
    conversation = client.conversations.create()
    with pytest.raises(openai.BadRequestError, match="grows by the responses"):
        client.conversations.delete(conversation.id)
    with pytest.raises(openai.BadRequestError, match="exclude each other"):
        client.responses.create(
            model="ok/m", input="x", conversation=conversation.id, previous_response_id="resp_x"
        )
    for odd in ({}, {"id": 5}, {"id": ""}):
        with pytest.raises(openai.BadRequestError, match=r"conversation\.id"):
            client.responses.create(model="ok/m", input="x", extra_body={"conversation": odd})
    for conversation_id in ("conv_none", "other"):
        with pytest.raises(openai.NotFoundError, match="not found"):
            client.responses.create(model="ok/m", input="x", conversation=conversation_id)


def test_a_key_sees_its_own_responses_or_may_read(server: Server, client: openai.OpenAI) -> None:
    """A key that may only answer continues its own responses, and no others."""
    made = server.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "app", "scopes": ["answer"]}
    )
    with create_client(server, made.json["value"]) as app:
        own = app.responses.create(model="ok/m", input="one")
        assert app.responses.retrieve(own.id).id == own.id
        app.responses.create(model="ok/m", input="two", previous_response_id=own.id)
        others = client.responses.create(model="ok/m", input="secret")
        with pytest.raises(openai.NotFoundError):
            app.responses.retrieve(others.id)
        with pytest.raises(openai.BadRequestError, match="not found"):
            app.responses.create(model="ok/m", input="x", previous_response_id=others.id)
        with pytest.raises(openai.BadRequestError, match=r"'input\[0\].id'"):
            reference: Any = {"type": "item_reference", "id": others.output[0].id}
            app.responses.create(model="ok/m", input=[reference])
        conversation = client.conversations.create().id
        client.responses.create(model="ok/m", input="secret", conversation=conversation)
        with pytest.raises(openai.NotFoundError):
            app.conversations.items.list(conversation)
        assert client.responses.retrieve(own.id).id == own.id


def test_another_organization_sees_nothing(server: Server, client: openai.OpenAI) -> None:
    """Neither a response, nor its items, nor a conversation, by any of their ids."""
    made = server.send("POST", "/api/v1/organizations", {"slug": "acme", "name": "Acme"})
    acme = made.json["key"]["value"]
    conversation = client.conversations.create().id
    own = client.responses.create(model="ok/m", input="secret", conversation=conversation)
    passed = client.responses.create(model="remembers/m", input="secret")
    ids = (own.id, passed.id)
    paths = [(method, f"/v1/responses/{id}") for id in ids for method in ("GET", "DELETE")]
    paths += [("GET", f"/v1/responses/{id}/input_items") for id in ids]
    paths += [("POST", f"/v1/responses/{id}/cancel") for id in ids]
    paths += [("GET", f"/v1/conversations/{conversation}{rest}") for rest in ("", "/items")]
    for method, path in paths:
        assert server.send(method, path, key=acme).status == 404, (method, path)
    with create_client(server, acme) as stranger:
        for id in ids:
            with pytest.raises(openai.BadRequestError, match="not found"):
                stranger.responses.create(model="ok/m", input="x", previous_response_id=id)
        with pytest.raises(openai.NotFoundError):
            stranger.responses.create(model="ok/m", input="x", conversation=conversation)
        reference: Any = {"type": "item_reference", "id": own.output[0].id}
        with pytest.raises(openai.BadRequestError, match=r"'input\[0\].id'"):
            stranger.responses.create(model="ok/m", input=[reference])
        assert get(server, own.id).status == 200


def test_odd_requests_that_passed_are_read_again(server: Server) -> None:
    """A vendor may take items of any shape. They are listed, and continued without them."""
    items = [{"type": ["x"]}, {"type": "x", "id": 5}, {"role": "user", "content": "hi"}]
    answer = server.send("POST", "/v1/responses", {"model": "remembers/m", "input": items})
    assert answer.status == 200, answer.body
    id = answer.json["id"]
    listed = server.send("GET", f"/v1/responses/{id}/input_items?order=asc")
    assert [item["type"] for item in listed.json["data"]] == [["x"], "x", "message"]
    call = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
    assert post(server, "ok/m", previous_response_id=id, input=[call]).status == 200
    recorded = server.send("GET", f"/v1/chat/completions/{server.find(answer)['id']}/messages")
    assert recorded.status == 200


@pytest.mark.parametrize(
    "bodies",
    [
        {"request": [1]},
        {"request_text": "not JSON"},
        {"request": {"input": "x", "previous_response_id": 5}},
        {"request": {"input": "x", "conversation": 5}},
        {"request": {"input": "x"}, "response": "Hello"},
        {"request": {"input": "x"}, "response_text": "Hello"},
    ],
)
def test_imported_calls_that_are_no_responses(server: Server, bodies: dict[str, Any]) -> None:
    """Whatever a file says is a response, no request fails over it."""
    id = create_id()
    line = {"object": "briggs.completion", "id": id, "kind": "response", "status": "finished"}
    when = {"created_at_us": 1_790_000_000_000_000}
    server.send("POST", "/api/v1/completions/import", {**line, **when, "model": "m", **bodies})
    assert server.send("GET", f"/v1/responses/{write_id(id)}").status == 404
    asked = {"model": "ok/m", "input": "x", "previous_response_id": write_id(id)}
    refused = server.send("POST", "/v1/responses", asked)
    assert refused.json["error"]["code"] == "previous_response_not_found"
    reference = {"type": "item_reference", "id": f"msg_{write_id(id)[5:]}i0"}
    refused = server.send("POST", "/v1/responses", {"model": "ok/m", "input": [reference]})
    assert (refused.status, refused.json["error"]["param"]) == (400, "input[0].id")


# ---- To vendors who speak it --------------------------------------------------------------


def test_a_whole_response_passes_byte_for_byte(
    vendors: Upstream, server: Server, client: openai.OpenAI
) -> None:
    """Request and answer are the vendor's, and the record has the chat completion for it."""
    tools = [{"type": "web_search"}]
    reply = post(server, "passes/gpt-5", tools=tools, truncation="auto", new_member=[1])
    body = write_whole(create_response(*OUTPUT))
    assert reply.body == body
    sent = vendors.seen[-1]
    assert sent.path == "/passes/v1/responses"
    assert sent.json == {
        "model": "gpt-5",
        "input": "hi",
        "tools": tools,
        "truncation": "auto",
        "new_member": [1],
    }
    id = reply.json["id"]
    assert get(server, id).body == body
    recorded = server.find(reply)
    message = recorded["choices"][0]["message"]
    assert message["content"] == "Hello 😊"
    assert message["tool_calls"][0]["function"]["name"] == "f"
    assert (recorded["briggs"]["response_id"], recorded["briggs"]["fixes"]) == (id, [])
    assert (recorded["briggs"]["prompt_tokens"], recorded["briggs"]["reasoning_tokens"]) == (36, 64)
    assert client.responses.create(model="passes/m", input="x").output_text == "Hello 😊"


@pytest.mark.parametrize("name", ["passes", "pieces-1", "pieces-7", "pieces-100"])
def test_a_streamed_response_passes_byte_for_byte(server: Server, name: str) -> None:
    """However it is split, the caller gets every byte, and retrieves the last response."""
    reply = post(server, f"{name}/m", stream=True)
    assert reply.body == write_events(list_events(*OUTPUT))
    recorded = server.find(reply)
    assert recorded["choices"][0]["message"]["content"] == "Hello 😊"
    assert recorded["briggs"]["status"] == "finished"
    retrieved = get(server, recorded["briggs"]["response_id"])
    whole = json.dumps(create_response(*OUTPUT), ensure_ascii=False).encode()
    assert retrieved.body == whole


def test_a_vendors_response_is_continued_by_its_id(vendors: Upstream, server: Server) -> None:
    """Its vendor gets the caller's own request. Any other one gets all that was said."""
    id = post(server, "remembers/m").json["id"]
    post(server, "remembers/m", previous_response_id=id)
    assert vendors.seen[-1].json["previous_response_id"] == id
    post(server, "pieces-7/m", previous_response_id=id, input="two")
    sent = vendors.seen[-1].json
    assert "previous_response_id" not in sent
    kinds = [item.get("type") for item in sent["input"]]
    assert kinds == [None, "message", "function_call", None]
    assert all("id" not in item for item in sent["input"])
    call = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
    assert post(server, "ok/m", previous_response_id=id, input=[call]).status == 200
    roles = [each["role"] for each in vendors.seen[-1].json["messages"]]
    assert roles == ["user", "assistant", "tool"]
    stranger = post(server, "remembers/m", previous_response_id="resp_of_another")
    assert (stranger.status, stranger.json["error"]["code"]) == (400, "previous_response_not_found")


def test_a_vendors_failure_passes(server: Server, client: openai.OpenAI) -> None:
    """A failed response is an error. A stream keeps the vendor's own events."""
    with pytest.raises(openai.APIStatusError, match="Oops"):
        client.responses.create(model="fails/m", input="x")
    reply = post(server, "fails/m", stream=True)
    assert reply.body.count(b"response.failed") == 2
    assert server.find(reply)["briggs"]["status"] == "failed"
    assert server.find(reply)["choices"][0]["message"]["content"] == "Hello 😊"
    *_, last = client.responses.create(model="fails/m", input="x", stream=True)
    assert last.type == "response.failed"


def test_a_vendors_stream_that_is_cut_ends_with_an_error(
    server: Server, client: openai.OpenAI
) -> None:
    """After the vendor's events comes one error, with the next number."""
    events: list[Any] = []
    with pytest.raises(openai.APIError, match="cut its stream short"):
        events.extend(client.responses.create(model="cut/m", input="x", stream=True))
    reply = post(server, "cut/m", stream=True)
    last = json.loads(reply.body.rstrip().rpartition(b"\ndata: ")[2])
    assert (last["type"], last["sequence_number"]) == ("error", len(events))
    retrieved = get(server, create_response()["id"]).json
    assert (retrieved["status"], retrieved["error"]["code"]) == ("failed", "server_error")


def test_a_caller_who_leaves(server: Server, client: openai.OpenAI) -> None:
    """The upstream is left too, and what had come is on record."""
    with client.responses.create(model="slow/m", input="leave", stream=True) as stream:
        id = next(iter(stream)).response.id  # type: ignore[union-attr]

    def find() -> Any:
        listed = server.send("GET", "/v1/chat/completions?status=failed&provider=slow").json
        return [each for each in listed["data"] if each["briggs"]["failure_kind"] == "hang_up"]

    wait_for(find)
    assert get(server, id).json["status"] == "cancelled"


def test_records_outlive_the_process(vendors: Upstream, tmp_path: Path) -> None:
    """What was answered before `kill -9` is retrieved after it, byte for byte."""
    config = vendors.config().replace(
        '[providers."passes"]', '[providers."passes"]\nresponses = true'
    )
    with run_server(tmp_path / "data", config=config) as server:
        replies = [post(server, f"{name}/m") for name in ("ok", "passes")]
        server.stop(9)
    with run_server(tmp_path / "data", config=config) as server:
        for reply in replies:
            assert get(server, reply.json["id"]).body == reply.body
