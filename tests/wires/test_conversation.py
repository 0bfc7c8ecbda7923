"""Any history of a caller is sent in a form that its vendor accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from briggs.providers.catalog import VENDORS
from briggs.settings import ProviderSettings
from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest
from tests.wires.folders import ENVIRONMENT, Case, list_cases, named, open_wire

Json = dict[str, Any]

FUNCTIONS: dict[str, Callable[[Json], Json]] = {
    "anthropic": lambda body: body["tools"][0]["input_schema"],
    "bedrock": lambda body: body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"],
    "gemini": lambda body: body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"],
}
"""Where each vendor is sent the schema of a function's arguments."""

MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini": "gemini-3-pro",
    "cohere": "command-a",
    "mistral": "mistral-small-latest",
}
LONG = "call_" + "x" * 60
IDS = st.sampled_from(["a", "a.b", "a:b", "a_b", "a b", "", f"{LONG}1", f"{LONG}2", "abcdefghi"])
NAMES = st.sampled_from(["f", "f.g", "f:g", "f_g", "", "1", "n" * 64, "n" * 65, "\u00fc"])
ARGUMENTS = st.sampled_from(["", " ", "{}", '{"a": 1}', "null"])
TEXTS = st.sampled_from(["", " ", "\n\t", "\u3000", "Hi", "Hi \n", " Hi"])
MARKS = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}])
CONTENTS = TEXTS | st.lists(
    st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, TEXTS, MARKS)
)
CALLS = st.builds(
    lambda id, name, arguments: {
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    IDS,
    NAMES,
    ARGUMENTS,
)
SAID = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["system", "developer", "user", "assistant"]),
    CONTENTS,
)
CALLED = st.builds(
    lambda content, calls: {"role": "assistant", "content": content, "tool_calls": calls},
    CONTENTS | st.none(),
    st.lists(CALLS, min_size=1, max_size=3),
)
RETURNED = st.builds(
    lambda id, content: {"role": "tool", "tool_call_id": id, "content": content}, IDS, CONTENTS
)
MESSAGES = st.lists(SAID | CALLED | RETURNED, min_size=1, max_size=8)
TOOLS = st.lists(NAMES, unique=True, max_size=3).map(
    lambda names: [{"type": "function", "function": {"name": name}} for name in names]
)
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low", "high"]),
        "temperature": st.sampled_from([-1, 0, 0.5, 1, 1.6]),
        "top_p": st.sampled_from([0, 0.5, 0.97, 1]),
        "top_k": st.just(5),
        "max_completion_tokens": st.sampled_from([1, 1024, 1025, 4000]),
        "stop": TEXTS | st.lists(TEXTS, max_size=6),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
    },
)


def encode(vendor: str, request: Json, *, model: str | None = None) -> Json | None:
    """The body that is sent, without unsupported members; None for a refused request."""
    row = ProviderSettings(kind=vendor)
    wire = VENDORS[vendor].open_wire(row, environment=ENVIRONMENT)
    envelope = open_envelope(json.dumps({"model": "m", **request}).encode())
    try:
        body: Json = json.loads(wire.encode(envelope, model=model or MODELS[vendor]).body)
    except InvalidRequest:
        return None
    return body


def is_blank(block: Json) -> bool:
    return "text" in block and not block["text"].strip()


def check_turns(turns: list[Json]) -> None:
    """Check turns of blocks by the rules of Anthropic and Bedrock."""
    assert turns[0]["role"] == "user"
    assert json.dumps(turns).count("cache") <= 4
    assert all(before["role"] != after["role"] for before, after in pairwise(turns))
    assert all(turn["content"] for turn in turns)
    assert not any(is_blank(block) for turn in turns for block in turn["content"])
    *_, last = [block for block in turns[-1]["content"] if "cachePoint" not in block]
    if turns[-1]["role"] == "assistant" and "text" in last:
        assert last["text"] == last["text"].rstrip()
    ids = [id for turn in turns for id in list_ids(turn, "tool_use")]
    assert len(ids) == len(set(ids))
    for before, after in pairwise([*turns, {"role": "", "content": []}]):
        assert sorted(list_ids(before, "tool_use")) == sorted(list_ids(after, "tool_result"))


def list_ids(turn: Json, type: str) -> list[str]:
    names = {"tool_use": ("id", "toolUse"), "tool_result": ("tool_use_id", "toolResult")}
    id, member = names[type]
    blocks: list[Json] = turn["content"]
    found = [block[id] for block in blocks if block.get("type") == type]
    return found + [block[member]["toolUseId"] for block in blocks if member in block]


def check_thinking(thinking: Json, sampling: Json, *, limit: int | None, choice: Any) -> None:
    if thinking.get("type") != "enabled":
        assert not ("temperature" in sampling and "top_p" in sampling)
        return
    assert limit is not None
    assert 1024 <= thinking["budget_tokens"] < limit
    assert sampling.get("temperature") is None
    assert sampling.get("top_p", 1) >= 0.95
    assert "top_k" not in sampling
    assert choice in (None, "auto", "none")


def check_anthropic(body: Json) -> None:
    check_turns(body["messages"])
    assert not any(is_blank(block) for block in body.get("system", []))
    calls = [id for turn in body["messages"] for id in list_ids(turn, "tool_use")]
    assert body.get("tools") or not calls
    names = [tool["name"] for tool in body.get("tools", [])]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", one) for one in [*calls, *names])
    assert all(stop.strip() for stop in body.get("stop_sequences", []))
    choice = body.get("tool_choice", {}).get("type")
    check_thinking(body.get("thinking", {}), body, limit=body["max_tokens"], choice=choice)


def check_bedrock(body: Json) -> None:
    check_turns(body["messages"])
    assert not any(is_blank(block) for block in body.get("system", []))
    calls = [id for turn in body["messages"] for id in list_ids(turn, "tool_use")]
    tools = body.get("toolConfig", {}).get("tools", [])
    assert tools or not calls
    assert all(re.fullmatch("[a-zA-Z0-9_.:-]{1,64}", id) for id in calls)
    names = [tool["toolSpec"]["name"] for tool in tools]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in names)
    config, fields = body.get("inferenceConfig", {}), body.get("additionalModelRequestFields", {})
    assert all(stop.strip() for stop in config.get("stopSequences", []))
    sampling = {"temperature": config.get("temperature"), "top_p": config.get("topP")}
    given = {name: value for name, value in {**sampling, **fields}.items() if value is not None}
    choice = next(iter(body.get("toolConfig", {}).get("toolChoice", {})), None)
    thinking = fields.get("thinking", {})
    check_thinking(thinking, given, limit=config.get("maxTokens"), choice=choice)


def check_gemini(body: Json) -> None:
    contents = body["contents"]
    assert contents[0]["role"] == "user"
    parts = [part for turn in contents for part in turn["parts"]]
    assert all(turn["parts"] for turn in contents)
    system = body.get("systemInstruction", {"parts": [{"text": "x"}]})["parts"]
    assert not any(part.get("text") == "" for part in [*parts, *system])
    for before, after in pairwise([*contents, {"parts": []}]):
        assert sorted(list_calls(before, "functionCall")) == sorted(
            list_calls(after, "functionResponse")
        )
    ids = [id for turn in contents for id in list_calls(turn, "functionCall")]
    assert len(ids) == len(set(ids))
    assert all(ids)
    names = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", name) for name in names)
    stops = body.get("generationConfig", {}).get("stopSequences", [])
    assert len(stops) <= 5
    assert all(stops)


def list_calls(turn: Json, member: str) -> list[str]:
    return [part[member]["id"] for part in turn["parts"] if member in part]


def check_messages(messages: list[Json]) -> None:
    """Check messages by the rules of Cohere and Mistral: one result directly follows each call."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting
        waiting = [call["id"] for call in message.get("tool_calls", [])]
        assert len(waiting) == len(set(waiting))
        if message["role"] == "assistant":
            assert message.get("content") or waiting
    assert not waiting
    for call in list_message_calls(messages):
        assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
        json.loads(call["function"]["arguments"])


def list_message_calls(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        yield from message.get("tool_calls", [])


def check_cohere(body: Json) -> None:
    messages = body["messages"]
    check_messages(messages)
    assert any(message["role"] != "system" for message in messages)
    assert not any(m["role"] == "user" and m["content"] in ("", []) for m in messages)
    assert 0.01 <= body.get("p", 0.5) <= 0.99
    assert len(body.get("stop_sequences", [])) <= 5


def check_mistral(body: Json) -> None:
    messages = body["messages"]
    check_messages(messages)
    ids = [call["id"] for call in list_message_calls(messages)]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", id) for id in ids)
    assert len(ids) == len(set(ids))
    for before, after in pairwise(messages):
        assert not (before["role"] in ("assistant", "tool") and after["role"] == "system")
    last = messages[-1]
    assert last["role"] in ("user", "tool") or last.get("prefix") is True
    assert 0 <= body.get("temperature", 0) <= 1.5


CHECKS = {
    "anthropic": check_anthropic,
    "bedrock": check_bedrock,
    "gemini": check_gemini,
    "cohere": check_cohere,
    "mistral": check_mistral,
}


@pytest.mark.parametrize("vendor", list(CHECKS))
@settings(max_examples=300, deadline=None)
@given(messages=MESSAGES, tools=TOOLS, parameters=PARAMETERS)
def test_any_history(vendor: str, messages: Any, tools: Any, parameters: Any) -> None:
    """A history of any shape is refused with its path, or sent as the vendor accepts it."""
    body = encode(vendor, {"messages": messages, "tools": tools, **parameters})
    if body is not None:
        CHECKS[vendor](body)


@pytest.mark.parametrize("vendor", list(CHECKS))
@settings(max_examples=100, deadline=None)
@given(messages=MESSAGES, more=MESSAGES)
def test_ids_stay(vendor: str, messages: Any, more: Any) -> None:
    """A rewritten id stays the same in the next turn, with a longer history."""
    before = encode(vendor, {"messages": messages})
    after = encode(vendor, {"messages": [*messages, *more]})
    if before is not None and after is not None:
        ids = find_ids(vendor, before)
        assert find_ids(vendor, after)[: len(ids)] == ids


@pytest.mark.parametrize(
    ("vendor", "model"),
    [("anthropic", "claude-opus-4-6"), ("bedrock", "us.anthropic.claude-opus-5")],
)
@settings(max_examples=100, deadline=None)
@given(messages=MESSAGES)
def test_the_user_speaks_last(vendor: str, model: str, messages: Any) -> None:
    """A model that does not continue an answer is never sent one to continue."""
    body = encode(vendor, {"messages": messages}, model=model)
    if body is not None:
        CHECKS[vendor](body)
        assert body["messages"][-1]["role"] == "user"


def find_ids(vendor: str, body: Json) -> list[str]:
    """The ids of the calls, in order."""
    if vendor == "gemini":
        return [id for turn in body["contents"] for id in list_calls(turn, "functionCall")]
    if vendor in ("anthropic", "bedrock"):
        return [id for turn in body["messages"] for id in list_ids(turn, "tool_use")]
    return [call["id"] for call in list_message_calls(body["messages"])]


@pytest.mark.parametrize("vendor", list(CHECKS))
def test_nothing_to_mend(vendor: str) -> None:
    """A history that the vendor accepts is sent unchanged, and nothing is noted."""
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "abcdefghi", "content": "1"},
    ]
    request = {"model": "m", "messages": messages, "tools": [{"type": "function", **call}]}
    wire = VENDORS[vendor].open_wire(ProviderSettings(kind=vendor), environment=ENVIRONMENT)
    encoded = wire.encode(open_envelope(json.dumps(request).encode()), model=MODELS[vendor])
    assert list(encoded.mended) == []


REF = {"$ref": "#/$defs/A"}
ONE_OF = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
NESTED = {"type": "object", "not": {"not": ONE_OF}}
SCHEMAS: list[tuple[str, Json, Json | None]] = [
    ("anthropic", ONE_OF, NESTED),
    ("bedrock", ONE_OF, NESTED),
    (
        "anthropic",
        {"not": {"required": ["c"]}, **ONE_OF},
        {"type": "object", "not": {"anyOf": [{"not": ONE_OF}, {"required": ["c"]}]}},
    ),
    ("gemini", {"$defs": {"A": {}}, **REF}, {"type": "object", "anyOf": [REF], "$defs": {"A": {}}}),
    (
        "gemini",
        {"properties": {"a": {**REF, **ONE_OF}}},
        {"type": "object", "properties": {"a": {**ONE_OF, "allOf": [REF]}}},
    ),
    (
        "gemini",
        {"properties": {"a": {"const": None}, "b": {"const": {"const": 1}}}},
        {"type": "object", "properties": {"a": {"type": "null"}, "b": {"enum": [{"const": 1}]}}},
    ),
    *((vendor, {"type": ["object", "null"]}, {"type": "object"}) for vendor in FUNCTIONS),
    *((vendor, {"type": "string"}, None) for vendor in FUNCTIONS),
]


@pytest.mark.parametrize(("vendor", "given", "sent"), SCHEMAS)
def test_parameters(vendor: str, given: Json, sent: Json | None) -> None:
    """The schema of a function's arguments means the same where its vendor reads less of it."""
    function = {"name": "f", "parameters": given}
    messages = [{"role": "user", "content": "?"}]
    request = {"messages": messages, "tools": [{"type": "function", "function": function}]}
    body = encode(vendor, request)
    assert (None if body is None else FUNCTIONS[vendor](body)) == sent


PNG, JPEG = "iVBORw0KGgo=", "/9j/4AAQSkZJRg=="
URLS = [
    (f"data:image/jpg;base64,{JPEG}", "image/jpeg"),
    (f"data:IMAGE/PJPEG;base64,{JPEG}", "image/jpeg"),
    (f"data:;base64,{PNG}", "image/png"),
    (f"data:application/octet-stream;base64,{JPEG}", "image/jpeg"),
    (f"data:image/*;base64,{PNG}", "image/png"),
    (f"data:image/webp;charset=utf-8;base64,{PNG}", "image/webp"),
    ("data:image/png;base64,iVBORw0K\r\nGgo=", "image/png"),
    ("data:image/png;base64,", None),
    ("data:image/png,abc", None),
    ("http://example.com/a.png", None),
    ("", None),
]
NO_IMAGES = [
    ("data:image/svg+xml;base64,PHN2Zy8+", None),
    ("data:application/pdf;base64,JVBERi0=", None),
    ("data:;base64,aGVsbG8=", None),
]


def show(vendor: str, url: str) -> Json | None:
    """The type and the data of an image as they are sent; None if it is refused by its path."""
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    wire = VENDORS[vendor].open_wire(ProviderSettings(kind=vendor), environment=ENVIRONMENT)
    envelope = open_envelope(json.dumps({"model": "m", "messages": messages}).encode())
    try:
        body: Json = json.loads(wire.encode(envelope, model=MODELS[vendor]).body)
    except InvalidRequest as error:
        assert error.param == "messages[0].content[0].image_url.url"
        return None
    if vendor == "anthropic":
        source = body["messages"][0]["content"][0]["source"]
        return {"type": source["media_type"], "data": source["data"]}
    if vendor == "bedrock":
        image = body["messages"][0]["content"][0]["image"]
        return {"type": f"image/{image['format']}", "data": image["source"]["bytes"]}
    inline = body["contents"][0]["parts"][0]["inlineData"]
    return {"type": inline["mimeType"], "data": inline["data"]}


@pytest.mark.parametrize(
    ("vendor", "url", "type"),
    [(vendor, *one) for vendor in ("anthropic", "bedrock", "gemini") for one in URLS]
    + [(vendor, *one) for vendor in ("anthropic", "bedrock") for one in NO_IMAGES],
)
def test_images(vendor: str, url: str, type: str | None) -> None:
    """An image has a type that its vendor accepts, or is refused by its path."""
    data = "".join(url.partition(",")[2].split())
    assert show(vendor, url) == (None if type is None else {"type": type, "data": data})


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock"])
@pytest.mark.parametrize("mark", ["cache_control", "prompt_cache_breakpoint"])
def test_marks_for_caching(vendor: str, mark: str) -> None:
    """Of more than four marks the last four are sent, and that is noted."""
    marked = {mark: {"type": "ephemeral", "mode": "explicit"}}
    content = [{"type": "text", "text": str(number), **marked} for number in range(6)]
    wire = VENDORS[vendor].open_wire(ProviderSettings(kind=vendor), environment=ENVIRONMENT)
    for count, noted in ((6, ["messages: only the last 4 marks for caching are kept"]), (4, [])):
        messages = [{"role": "user", "content": content[:count]}]
        envelope = open_envelope(json.dumps({"model": "m", "messages": messages}).encode())
        encoded = wire.encode(envelope, model=MODELS[vendor])
        sent = json.dumps(json.loads(encoded.body)["messages"])
        assert list(encoded.mended) == noted
        assert sent.count('"cache_control"') + sent.count('"cachePoint"') == 4
        *_, last = re.findall(r'"text": "(\d)"', sent)
        assert last == str(count - 1)
        assert sent.rindex("cache") > sent.rindex(f'"{count - 1}"')


@pytest.mark.parametrize("vendor", ["anthropic", "bedrock"])
@pytest.mark.parametrize(
    ("members", "unsupported"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 500}}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048.0}}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": "2048"}}, "thinking"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
        ({"reasoning_effort": "a lot"}, "reasoning_effort"),
        ({"reasoning_effort": "a lot", "tool_choice": "auto"}, "reasoning_effort"),
    ],
)
def test_thinking_that_no_model_knows(vendor: str, members: Json, unsupported: str) -> None:
    """A budget or an effort that Claude refuses is refused by its name."""
    wire = VENDORS[vendor].open_wire(ProviderSettings(kind=vendor), environment=ENVIRONMENT)
    request = {"model": "m", "messages": [{"role": "user", "content": "?"}], **members}
    encoded = wire.encode(open_envelope(json.dumps(request).encode()), model=MODELS[vendor])
    assert list(encoded.unsupported) == [unsupported]
    assert b"thinking" not in encoded.body


MENDED: dict[str, list[str]] = {
    "anthropic/tools": [
        "reasoning_effort: sent without thinking, since the answer must call a tool"
    ],
    "bedrock/tools": ["reasoning_effort: sent without thinking, since the answer must call a tool"],
    "bedrock/parts": [
        "messages[0].content[3].file.filename: changed to a name that Bedrock accepts"
    ],
    "anthropic/thinking-forced-tool": [
        "reasoning_effort: sent without thinking, since the answer must call a tool"
    ],
    "anthropic/thinking-unsigned-calls": [
        "reasoning_effort: left out, since the last tool calls come without their reasoning"
    ],
    "anthropic/calls-without-tools": [
        "tools: declare the functions that were called before, since there are none"
    ],
    "anthropic/calls-without-tools-results-only": [
        "messages[2]: joined with the other results of its call",
        "tools: declare the functions that were called before, since there are none",
        "messages[2].content[1]: left out, since it is blank",
    ],
    "anthropic/blank-texts": [
        "messages[0].content: left out, since it is blank",
        "messages[1].content[1]: left out, since it is blank",
        "messages[2].content: left out, since it is blank",
    ],
    "anthropic/blank-user": [
        "messages[2].content: left out, since it is blank",
        "messages[2].content: sent as '(empty)', since it is empty",
    ],
    "anthropic/empty-user": [
        "messages[0].content: sent as '(empty)', since it is empty",
        "messages[2].content: sent as '(empty)', since it is empty",
    ],
    "anthropic/trailing-space": [
        "messages: sent without the white space at the end of the last answer"
    ],
    "anthropic/answer-last": ["messages: end with '(continue)', since the user must speak last"],
    "bedrock/answer-last": ["messages: end with '(continue)', since the user must speak last"],
    "anthropic/trailing-blank-answer": ["messages[1].content[1]: left out, since it is blank"],
    "anthropic/system-only": ["messages: sent as the user's, since there are only instructions"],
    "anthropic/system-only-blank": [
        "messages[0].content: left out, since it is blank",
        "messages: sent as the user's, since there are only instructions",
    ],
    "anthropic/assistant-first": [
        "messages: begin with '(empty)', since the user must speak first"
    ],
    "anthropic/results-twice-late-missing": [
        "messages[4]: moved to follow the call that it answers",
        "messages[5]: moved to follow the call that it answers",
        "messages[2]: joined with the other results of its call",
        "messages[1].tool_calls[2]: answered with '(no result)', since no message answers it",
    ],
    "anthropic/stop-empty": ["stop: an empty text is left out"],
    "bedrock/thinking-forced-tool": [
        "reasoning_effort: sent without thinking, since the answer must call a tool"
    ],
    "bedrock/thinking-unsigned-calls": [
        "reasoning_effort: left out, since the last tool calls come without their reasoning"
    ],
    "bedrock/calls-without-tools": [
        "tools: declare the functions that were called before, since there are none"
    ],
    "bedrock/calls-without-tools-results-only": [
        "messages[2]: joined with the other results of its call",
        "tools: declare the functions that were called before, since there are none",
        "messages[2].content[1]: left out, since it is blank",
    ],
    "bedrock/blank-texts": [
        "messages[0].content: left out, since it is blank",
        "messages[1].content[1]: left out, since it is blank",
        "messages[2].content: left out, since it is blank",
    ],
    "bedrock/blank-user": [
        "messages[2].content: left out, since it is blank",
        "messages[2].content: sent as '(empty)', since it is empty",
    ],
    "bedrock/empty-user": [
        "messages[0].content: sent as '(empty)', since it is empty",
        "messages[2].content: sent as '(empty)', since it is empty",
    ],
    "bedrock/trailing-space": [
        "messages: sent without the white space at the end of the last answer"
    ],
    "bedrock/trailing-blank-answer": ["messages[1].content[1]: left out, since it is blank"],
    "bedrock/system-only": ["messages: sent as the user's, since there are only instructions"],
    "bedrock/system-only-blank": [
        "messages[0].content: left out, since it is blank",
        "messages: sent as the user's, since there are only instructions",
    ],
    "bedrock/assistant-first": ["messages: begin with '(empty)', since the user must speak first"],
    "bedrock/results-twice-late-missing": [
        "messages[4]: moved to follow the call that it answers",
        "messages[5]: moved to follow the call that it answers",
        "messages[2]: joined with the other results of its call",
        "messages[1].tool_calls[2]: answered with '(no result)', since no message answers it",
    ],
    "bedrock/stop-empty": ["stop: an empty text is left out"],
    "anthropic/thinking-adaptive-forced-tool": [
        "reasoning_effort: sent without thinking, since the answer must call a tool"
    ],
    "bedrock/documents-named-alike": [
        "messages[0].content[2].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[3].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[4].file.filename: changed to a name that Bedrock accepts",
        "messages[2].content[1].file.filename: changed to a name that Bedrock accepts",
    ],
    "bedrock/documents-of-other-scripts": [
        "messages[0].content[1].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[2].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[3].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[4].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[5].file.filename: changed to a name that Bedrock accepts",
        "messages[0].content[6].file.filename: changed to a name that Bedrock accepts",
    ],
    "bedrock/document-without-text": ["messages: '(empty)' is added to a document without text"],
    "bedrock/empty-result": ["messages: an empty result is sent as '(empty)'"],
    "gemini/system-only": ["messages: sent as the user's, since there are only instructions"],
    "gemini/system-only-empty": ["messages: sent as the user's, since there are only instructions"],
    "gemini/empty-contents": [
        "messages[0].content: sent as '(empty)', since it is empty",
        "messages[4].content: sent as '(empty)', since it is empty",
    ],
    "gemini/assistant-first": ["messages: begin with '(empty)', since the user must speak first"],
    "gemini/calls-again-missing-late": [
        "messages[5]: moved to follow the call that it answers",
        "messages[6]: moved to follow the call that it answers",
        "messages[7]: moved to follow the call that it answers",
        "messages[5]: joined with the other results of its call",
        "messages[3].tool_calls[1]: answered with '(no result)', since no message answers it",
    ],
    "gemini/stop-empty": ["stop: an empty text is left out"],
    "cohere/system-only": ["messages: sent as the user's, since there are only instructions"],
    "cohere/empty-contents": [
        "messages[0].content: sent as '(empty)', since it is empty",
        "messages[2].content: sent as '(empty)', since it is empty",
    ],
    "cohere/calls-again-missing": [
        "messages[3].tool_calls[1]: answered with '(no result)', since no message answers it"
    ],
    "cohere/top-p-whole": ["top_p: sent as 0.99, the nearest value that Cohere accepts"],
    "mistral/system-only": ["messages: the last instructions are sent as the user's"],
    "mistral/system-behind": [
        "messages[3]: moved to the front, where Mistral accepts instructions"
    ],
    "mistral/answer-last": ["messages: end with an answer for the model to continue (prefix)"],
    "mistral/stop-empty": ["stop: an empty text is left out"],
}


@named([case for case in list_cases() if case.sent is not None])
def test_mended(case: Case) -> None:
    """Every change to the caller's request is noted with its place, and nothing else is."""
    encoded = open_wire(case).encode(open_envelope(case.body), model=case.model)
    assert list(encoded.mended) == MENDED.get(case.id, [])
