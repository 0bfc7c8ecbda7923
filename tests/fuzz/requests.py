"""Hostile requests: from a seed and a number to the bytes of a connection."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from briggs.api import health
from briggs.app import ROUTES
from tests.fuzz.exchange import Ending, Hostile
from tests.fuzz.values import (
    NUMBERS,
    TEXTS,
    Raw,
    cut,
    draw_value,
    encode,
    mutate,
    mutate_bytes,
    pack,
)
from tests.fuzz.verdicts import CHAT, RESPONSES

CLAUDE = "bedrock-claude"
"""Bedrock for messages to Claude, which go there in Anthropic's format."""
WIRES = ("openai", "anthropic", "gemini", "bedrock", CLAUDE, "cohere", "mistral", "ollama-native")


class Place(NamedTuple):
    """What a request has to know of the server that it is for."""

    key: str
    port: int
    trap_port: int
    """Where nobody may ever be made to connect to."""
    id: str
    """Of a completion that is on record."""


class Drawn(NamedTuple):
    """What a generator draws with."""

    draw: random.Random
    place: Place


def create_hostile(seed: int, number: int, place: Place) -> Hostile:
    """The hostile connection of this number."""
    draw = random.Random(f"{seed}/requests/{number}")
    [create] = draw.choices(list(KINDS), weights=list(KINDS.values()))
    return create(Drawn(draw, place))


# ---- Bodies -------------------------------------------------------------------------------

_PNG = "data:image/png;base64,iVBORw0KGgo="
_PDF = "data:application/pdf;base64,JVBERg=="
_PARTS = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": _PNG, "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    {"type": "file", "file": {"filename": "a.pdf", "file_data": _PDF}},
]
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "label": {"enum": ["good", "bad"]},
        "note": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 50},
        "inner": {"$ref": "#/$defs/inner"},
        "perhaps": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    },
    "required": ["score"],
    "$defs": {"inner": {"type": "object", "properties": {"x": {"type": "boolean"}}}},
}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}
_MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief.", "name": "s"},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": None, "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    {"role": "assistant", "content": "It is noon.", "refusal": None},
    {"role": "user", "content": _PARTS[:2]},
]
_TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": _SCHEMA, "strict": False},
}
_RARE: dict[str, Any] = {
    "n": 1,
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 10,
    "max_completion_tokens": 10,
    "stop": ["end"],
    "seed": 1,
    "user": "u",
    "safety_identifier": "s",
    "metadata": {"a": "b"},
    "store": True,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"5": -100},
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}},
    "tools": [_TOOL],
    "tool_choice": {"type": "function", "function": {"name": "now"}},
    "parallel_tool_calls": False,
    "functions": [_TOOL["function"]],
    "function_call": "auto",
    "reasoning_effort": "low",
    "verbosity": "low",
    "service_tier": "auto",
    "stream_options": {"include_usage": True},
    "modalities": ["text"],
    "audio": {"voice": "alloy", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {"search_context_size": "low"},
    "prompt_cache_key": "k",
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}


def create_chat(drawn: Drawn) -> dict[str, Any]:
    """A request that is good, with a few of all the members that there are."""
    draw = drawn.draw
    messages = _MESSAGES if draw.random() < 0.4 else [_MESSAGES[1]]
    if draw.random() < 0.1:
        messages = [{"role": "user", "content": _PARTS}]
    names = draw.sample(list(_RARE), draw.choice([0, 1, 2, 3, 8]))
    return {
        "model": f"{draw.choice(WIRES)}/ok",
        "messages": messages,
        "stream": draw.random() < 0.4,
        **{name: _RARE[name] for name in names},
    }


_ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "content": []},
    {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "12"},
    {"type": "custom_tool_call", "call_id": "d", "name": "say", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "d", "output": "y"},
    {"type": "item_reference", "id": "msg_0123456789abcdef0123456789abcdef"},
]
_RARE_IN_RESPONSES: dict[str, Any] = {
    "instructions": "Be brief.",
    "max_output_tokens": 5,
    "temperature": 0.5,
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 2,
    "metadata": {"a": "b"},
    "store": False,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": _SCHEMA}},
    "tools": [{"type": "function", "name": "now", "parameters": _SCHEMA}],
    "tool_choice": {"type": "function", "name": "now"},
    "truncation": "disabled",
    "previous_response_id": "resp_0123456789abcdef0123456789abcdef",
    "conversation": {"id": "conv_x"},
    "background": False,
    "n": 2,
}


def create_asked(drawn: Drawn) -> dict[str, Any]:
    """A request for a response, with a few of all the members and items that there are."""
    draw = drawn.draw
    names = draw.sample(list(_RARE_IN_RESPONSES), draw.choice([0, 1, 2, 4]))
    return {
        "model": f"{draw.choice(WIRES)}/ok",
        "input": "hi" if draw.random() < 0.3 else draw.sample(_ITEMS, draw.choice([1, 2, 4])),
        "stream": draw.random() < 0.4,
        **{name: _RARE_IN_RESPONSES[name] for name in names},
    }


_LOGGED = {
    "organization_id": "default",
    "kind": "chat",
    "status": "finished",
    "request": json.dumps({"model": "gpt-4o", "messages": [_MESSAGES[1]]}),
    "response": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
    "tags": ["a", "b"],
    "session_id": "s",
    "stacktrace": [{"file": "a.py", "line": "x()", "lineno": 1, "name": "m"}],
    "duration": 12,
}
_TASK = {
    "name": "quality",
    "instruction": "How good?",
    "json_schema": _SCHEMA,
    "completion_tags_selector": ["a"],
    "reviewers_wanted": 2,
    "blind": True,
    "filter": "status = 'finished'",
}
_GRAPHQL = {
    "query": "query Q($id: String!) { organization(id: $id) { id slug } }",
    "variables": {"id": "default"},
}
_SPAN: dict[str, Any] = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "eee19b7ec3c1b173",
    "name": "chat m",
    "startTimeUnixNano": "1790000000000000000",
    "endTimeUnixNano": 1790000001000000000,
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
        {"key": "gen_ai.request.temperature", "value": {"doubleValue": 0.5}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "3"}},
        {
            "key": "gen_ai.response.finish_reasons",
            "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}},
        },
        {
            "key": "gen_ai.input.messages",
            "value": {
                "stringValue": json.dumps(
                    [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]
                )
            },
        },
    ],
    "events": [
        {
            "name": "gen_ai.evaluation.result",
            "attributes": [
                {"key": "gen_ai.evaluation.name", "value": {"stringValue": "Relevance"}},
                {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.5}},
                {"key": "gen_ai.evaluation.explanation", "value": {"stringValue": "It is."}},
            ],
        }
    ],
    "status": {"code": 2, "message": "It broke."},
}
_EXPORT: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [
                    {"key": "service.name", "value": {"stringValue": "s"}},
                    {
                        "key": "more",
                        "value": {"kvlistValue": {"values": [{"key": "a", "value": {}}]}},
                    },
                ]
            },
            "scopeSpans": [{"scope": {"name": "tests"}, "spans": [_SPAN]}],
        }
    ]
}
_BODIES: dict[str, Any] = {
    "/v1/conversations": {"items": [], "metadata": {}},
    "/v1/traces": _EXPORT,
    "/api/show": {"model": "openai/ok", "verbose": True},
    "/v1/chat/completions": {"metadata": {"a": "b"}},
    "/v1/organization": {"name": "k", "scopes": ["read"], "expires_in_s": 60},
    "/api/completions": _LOGGED,
    "/api/v1/completions": _LOGGED,
    "/api/sessions": {"organization_id": "default"},
    "/api/v1/sessions": {"name": "s", "organization_id": "default"},
    "/api/v1/feedback_task": _TASK,
    "/api/v1/feedback": {
        "task_id": "t",
        "completion_id": "@ID@",
        "completion_tags_selector": ["a"],
        "json_values": {"score": 3, "label": "good"},
        "comment": "c",
        "reviewer": "r",
        "idempotency_key": "i",
        "seconds": 3,
    },
    "/api/v1/organizations": {"slug": "other", "name": "O"},
    "/graphql": _GRAPHQL,
}
_MARK = {"cache_control": {"type": "ephemeral"}}
_PNG_SOURCE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
_TEXT_SOURCE = {"type": "text", "media_type": "text/plain", "data": "One."}
_TURNS: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?", **_MARK},
            {"type": "image", "source": _PNG_SOURCE},
            {"type": "document", "source": _TEXT_SOURCE, "title": "t"},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {"a": 1}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "noon", "is_error": True},
        ],
    },
]
"""A conversation in Anthropic's blocks."""
FACES: dict[str, dict[str, Any]] = {
    "/v1/completions": {
        "prompt": "Once upon a time",
        "max_tokens": 5,
        "logprobs": 2,
        "n": 1,
        "stop": ["end"],
        "suffix": None,
        "echo": False,
        "best_of": 1,
    },
    "/v1/embeddings": {
        "input": ["one", "two"],
        "encoding_format": "base64",
        "dimensions": 2,
        "user": "u",
    },
    "/v1/moderations": {"input": [{"type": "text", "text": "bad"}]},
    "/v1/messages": {
        "max_tokens": 2048,
        "system": [{"type": "text", "text": "Be brief.", **_MARK}],
        "messages": _TURNS,
        "tools": [{"name": "now", "input_schema": _SCHEMA, **_MARK}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _SCHEMA}},
        "metadata": {"user_id": '{"session_id": "s"}', "briggs_tags": "a"},
        "stop_sequences": ["end"],
        "context_management": {"edits": []},
    },
    "/v1/responses": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "now", "parameters": _SCHEMA}],
    },
    "/api/chat": {
        "messages": [
            {"role": "user", "content": "Hello", "images": ["iVBORw0KGgo="]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "now", "arguments": {}}}]},
            {"role": "tool", "tool_name": "now", "content": "noon"},
        ],
        "tools": [_TOOL],
        "options": {"num_predict": 5, "top_k": 3, "num_ctx": 9, "stop": ["x"]},
        "format": _SCHEMA,
        "think": "low",
    },
    "/api/embed": {"input": ["one", "two"], "truncate": True, "dimensions": 2},
    "/api/embeddings": {"prompt": "one", "options": {"num_ctx": 5}},
    "/api/generate": {"prompt": "Hello", "system": "Be brief.", "images": [], "raw": False},
}
"""A good request in each format but the chat completion's, without its model."""
_QUERY_NAMES = (
    *("limit", "offset", "after", "order", "count", "include", "include[]", "model", "status"),
    *("provider", "session_id", "user", "text", "tag", "violates", "source", "caller_left"),
    *("created[gte]", "created[lt]", "cost_usd_min", "cost_usd_max", "duration_ms_min", "by"),
    *("metadata[a]", "metadata[]", "filter", "query", "task_id", "completion_id", "reviewer"),
    *("organization_id", "organization", "desc", "ids", "version", "id", "tags", "format", "page"),
)
_FILTERS = [
    "a = 1",
    "score > 3 AND NOT (label = 'good' OR note ~ 'x')",
    "score = " + "9" * 300,
    "(" * 3000,
    "NOT " * 3000 + "a = 1",
    "a = '" + "'" * 101,
    "a ~ '(a+)+$'",
    "a = 1 AND " * 500 + "a = 1",
]
_QUERIES = [
    "{ __schema { types { name fields { name type { name ofType { name } } } } } }",
    "{" * 3000,
    "{ a" * 500 + "}" * 500,
    "query { ...F } fragment F on Query { ...F }",
    "{ " + " ".join(f"a{number}: __typename" for number in range(3000)) + " }",
    'mutation { createTestRun(input: {name: "x"}) { id } }',
    "query Q($a: [Int!]! = [1, null]) { __typename @skip(if: true) @include(if: $a) }",
    '{ organization(id: "default") { completion(id: "@ID@") { id autoFeedback { id } } } }',
    "subscription { a }",
]


# ---- Kinds --------------------------------------------------------------------------------


def odd_members(drawn: Drawn) -> Hostile:
    """A chat request with members that are not what they should be."""
    request = mutate(create_chat(drawn), drawn.draw, times=2)
    return _chat("odd members", drawn, encode(request))


def odd_faces(drawn: Drawn) -> Hostile:
    """A request in another format than a chat completion's, at its own path or at Azure's."""
    draw = drawn.draw
    path = draw.choice(list(FACES))
    model = f"{draw.choice(WIRES)}/{draw.choice(['ok', 'gpt-5'])}"
    request = {"model": model, "stream": draw.random() < 0.4, **FACES[path]}
    body = encode(mutate(request, draw, times=2))
    if draw.random() < 0.1:
        body = mutate_bytes(body, draw)
    if path.startswith("/v1/") and draw.random() < 0.2:
        name = _escape(draw.choice([model, *TEXTS]), draw)
        path = path.replace("/v1", f"/openai/deployments/{name}", 1)
    return _send("odd faces", drawn, b"POST", path.encode(), body)


def odd_responses(drawn: Drawn) -> Hostile:
    """A request for a response with members and items that are not what they should be."""
    draw = drawn.draw
    request = create_asked(drawn)
    if draw.random() < 0.7:
        request = mutate(request, draw, times=2)
    return _send("odd responses", drawn, b"POST", RESPONSES, encode(request))


def odd_traces(drawn: Drawn) -> Hostile:
    """An export of spans with members that are not what they should be."""
    draw = drawn.draw
    export = mutate(_EXPORT, draw)
    body = encode(export).replace(b"5b8e", b"%04x" % draw.getrandbits(16))
    return _send("odd traces", drawn, b"POST", b"/v1/traces", body)


def odd_bytes(drawn: Drawn) -> Hostile:
    """A chat request whose bytes are not JSON, or are JSON of another encoding."""
    draw, request = drawn.draw, create_chat(drawn)
    body = encode(request)
    text = body.decode()
    made: list[Callable[[], bytes]] = [
        lambda: mutate_bytes(body, draw),
        lambda: mutate_bytes(mutate_bytes(body, draw), draw),
        lambda: body[: draw.randint(0, len(body))],
        lambda: b"\xef\xbb\xbf" + body,
        lambda: text.encode(draw.choice(["utf-16", "utf-16-le", "utf-32", "utf-16-be"])),
        lambda: body.replace(b'"model"', b'"model": "x", "model"', 1),
        lambda: b"[" * draw.choice([10, 900, 1100, 200_000]),
        lambda: b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        lambda: b'{"model": "openai/ok", "messages": [], "x": ' + b"9" * 400_000 + b"}",
        lambda: b'{"model": "openai/ok", ' + b" " * 900_000 + b"}",
        lambda: json.dumps({**request, **{f"m{n}": n for n in range(5000)}}).encode(),
        lambda: draw.choice([b"", b"null", b"0", b'"x"', b"[]", b"{}", b"\0", b"NaN", b"tru"]),
        lambda: b"x" * 1_100_000,
        lambda: encode({**request, "messages": [_MESSAGES[1]] * 20_000}),
    ]
    return _chat("odd bytes", drawn, draw.choice(made)())


def odd_models(drawn: Drawn) -> Hostile:
    """A model's name that would choose an address, a path, a header or a file."""
    draw, port = drawn.draw, drawn.place.trap_port
    wire = draw.choice(WIRES)
    trap = f"127.0.0.1:{port}"
    targets = [
        *(f"http://{trap}/x", f"https://{trap}", f"//{trap}/x", f"@{trap}", f"x@{trap}/"),
        *("http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "gopher://x"),
        *("../x", "..", ".", "../../x", "%2e%2e/x", "..%2fx", "x/../../../y", "\\..\\x"),
        *("x?y=1", "x#y", "x:y", "x;y", "x&alt=sse", " ", "x y", "\t", "\0", "\x7f"),
        *(f"x\r\nHost: {trap}\r\n\r\n", f"x HTTP/1.1\r\nHost: {trap}", f"\\\\{trap}\\x"),
        *("local/briggs-tiny", "local/../../etc/passwd", "/etc/passwd", "~", "local//x"),
        *(f"models/../{trap}", "models/x:generateContent?y", f"arn:aws:bedrock:{trap}"),
        *("x" * 5000, "fast", "fast/x", "\U0001f600", "\ud800"),
        *TEXTS,
    ]
    model = draw.choice(["{0}/{1}", "{0}/{1}", "{1}", "{1}/{0}", "{0}{1}"]).format(
        wire, draw.choice(targets)
    )
    request = {**create_chat(drawn), "model": model}
    if draw.random() < 0.2:
        return _send("odd models", drawn, b"GET", f"/v1/models/{_escape(model, draw)}".encode())
    return _chat("odd models", drawn, encode(request))


def odd_routes(drawn: Drawn) -> Hostile:
    """Any route, with an odd id, an odd query and an odd body."""
    draw = drawn.draw
    method, path, query, body = _draw_route(drawn)
    target = f"{path}?{query}" if query else path
    headers = {"idempotency-key": draw.choice(TEXTS[:12])} if draw.random() < 0.1 else {}
    return _send("odd routes", drawn, method, target.encode(), body, headers)


def odd_queries(drawn: Drawn) -> Hostile:
    """GraphQL and filters that are deep, long or not what they should be."""
    draw = drawn.draw
    if draw.random() < 0.5:
        body = {"query": draw.choice(_QUERIES), "variables": draw_value(draw)}
        return _send("odd queries", drawn, b"POST", b"/graphql", encode(body))
    path = draw.choice(["/api/v1/feedback", "/api/v1/feedback/export", "/v1/chat/completions"])
    query = f"filter={quote(draw.choice(_FILTERS)[:7000])}&task_id={draw.choice(['', 't'])}"
    return _send("odd queries", drawn, b"GET", f"{path}?{query}".encode())


def odd_keys(drawn: Drawn) -> Hostile:
    """Any route with a key that opens nothing."""
    draw, place = drawn.draw, drawn.place
    method, path, query, body = _draw_route(drawn, is_open=False)
    key = place.key
    given = draw.choice(
        [
            {},
            {"authorization": f"Bearer {key[:-1]}"},
            {"authorization": f"Bearer {key}x"},
            {"authorization": f"Bearer {key.upper()}"},
            {"authorization": "Bearer"},
            {"authorization": "Bearer " + "x" * 5000},
            {"authorization": f"Basic {key}"},
            {"authorization": f"Bearer \0{key}"},
            {"authorization": f"Bearer {key},{key}"},
            {"authorization": "Bearer sk-briggs-' OR 1=1 --"},
            {"authorization": "Bearer \xe9\xff"},
            {"x-log10-token": "x"},
            {"x-api-token": key[1:]},
            {"x-api-key": key[1:]},
            {"api-key": f"{key}x"},
            {"cookie": f"authorization=Bearer {key}"},
            {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"},
        ]
    )
    target = f"{path}?{query}&key={key}" if query else path
    hostile = _send("odd keys", drawn, method, target.encode(), body, given, key=None)
    return hostile._replace(statuses=frozenset({400, 401, 403, 408, 413}))


def odd_headers(drawn: Drawn) -> Hostile:
    """A good request with headers that are not what they should be."""
    draw = drawn.draw
    names = [
        *("x-briggs-session", "x-briggs-tags", "x-stainless-retry-count", "x-stainless-timeout"),
        *("x-stainless-read-timeout", "x-log10-completion-id", "x-log10-organization-id"),
        *("idempotency-key", "content-type", "accept", "accept-encoding", "origin", "referer"),
        *("x-forwarded-proto", "x-forwarded-host", "user-agent", "range", "if-match", "te"),
        *("host", "connection", "upgrade", "expect", "via", "x-request-id", "openai-organization"),
    ]
    values = [
        *(text for text in TEXTS if "\r" not in text and "\n" not in text and len(text) < 6000),
        *(str(it) for it in NUMBERS if not isinstance(it, Raw)),
        *("nan", "inf", "1e999", "localhost:evil.com", "[::1", "http://[", "null", "close, x"),
        *("utf-7", "text/html", "gzip;q=0", "100-continue", "h2c", "a,b,,c", ",".join("x" * 500)),
    ]
    headers = {draw.choice(names): draw.choice(values) for _ in range(draw.randint(1, 3))}
    if draw.random() < 0.3:
        method, path, query, body = _draw_route(drawn)
        return _send("odd headers", drawn, method, f"{path}?{query}".encode(), body, headers)
    return _chat("odd headers", drawn, encode(create_chat(drawn)), headers)


def odd_framing(drawn: Drawn) -> Hostile:
    """What is not HTTP, or says of its own end what is not so."""
    draw, place = drawn.draw, drawn.place
    body = encode(create_chat(drawn))
    host, key = f"127.0.0.1:{place.port}".encode(), place.key.encode()
    start = draw.choice(
        [
            b"POST /v1/chat/completions HTTP/1.1",
            b"POST /v1/chat/completions HTTP/1.0",
            b"POST http://169.254.169.254/v1/chat/completions HTTP/1.1",
            b"POST /v1/chat/completions",
            b"post /v1/chat/completions HTTP/1.1",
            b"POST  /v1/chat/completions  HTTP/1.1",
            b"POST /v1/chat/completions HTTP/9.9",
            b"CONNECT 127.0.0.1:%d HTTP/1.1" % place.trap_port,
            b"PRI * HTTP/2.0",
            b"GET " + b"/x" * 40_000 + b" HTTP/1.1",
            b"\r\n\r\nPOST /v1/chat/completions HTTP/1.1",
        ]
    )
    framing = draw.choice(
        [
            b"Content-Length: %d" % len(body),
            b"Content-Length: %d" % (len(body) + draw.choice([-5, 5, 10**6, 10**18])),
            b"Content-Length: " + draw.choice([b"-1", b"+5", b"0x10", b"0" * 5000, b"\xb2"]),
            b"Content-Length: 5\r\nContent-Length: %d" % len(body),
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, identity",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding:\x0bchunked",
        ]
    )
    extra = draw.choice(
        [
            b"",
            b"Host: evil.example\r\n",
            b"X-A: b\r\n c\r\n",
            b"No-Colon\r\n",
            b": no name\r\n",
            b"X\0Y: 1\r\n",
            b"X: \x01\x02\r\n",
            b"X-Many: 1\r\n" * 3000,
            b"X-Long: " + b"y" * 70_000 + b"\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n",
        ]
    )
    content = body
    if b"chunked" in framing:
        content = draw.choice([_chunk(body, draw), mutate_bytes(_chunk(body, draw), draw)])
    head = b"%b\r\nHost: %b\r\nAuthorization: Bearer %b\r\n%b%b\r\n\r\n" % (
        start, host, key, extra, framing,
    )  # fmt: skip
    data = head + content
    whim = draw.random()
    if whim < 0.15:
        data = mutate_bytes(data, draw)
    elif whim < 0.2:
        data = bytes(draw.getrandbits(8) for _ in range(draw.randint(1, 3000)))
    elif whim < 0.24:
        data = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    elif whim < 0.3:
        data += b"GET /v1/models HTTP/1.1\r\nHost: %b\r\n\r\n" % host
    pieces = cut(data, draw) or [b"\r\n"]
    ending: Ending = draw.choice(["half-close", "half-close", "half-close", "wait", "leave"])
    method = data.lstrip(b"\r\n").split(b" ", 1)[0][:10]
    return Hostile(
        "odd framing",
        pieces,
        method=method if method in (b"POST", b"GET", b"CONNECT") else b"",
        path=CHAT,
        ending=ending,
        may_be_unanswered=True,
    )


def odd_encodings(drawn: Drawn) -> Hostile:
    """A body that is compressed in a way that hurts, or only said to be."""
    draw = drawn.draw
    body = encode(create_chat(drawn))
    made: list[Callable[[], tuple[str, bytes]]] = [
        lambda: ("gzip", pack(body)),
        lambda: ("gzip", pack(b" " * 50_000_000)),
        lambda: ("gzip", pack(body + b" " * 900_000)),
        lambda: ("gzip", pack(body)[: draw.randint(0, 40)]),
        lambda: ("gzip", pack(body) * 2),
        lambda: ("gzip", pack(body) + b"junk"),
        lambda: ("gzip", pack(pack(body))),
        lambda: ("gzip, gzip", pack(pack(body))),
        lambda: ("gzip", mutate_bytes(pack(body), draw)),
        lambda: ("gzip", pack(b"") * 20_000),
        lambda: ("deflate", zlib.compress(body)),
        lambda: ("deflate", zlib.compress(b"[" * 30_000_000)),
        lambda: ("br", body),
        lambda: ("zstd", b"\x28\xb5\x2f\xfd" + body),
        lambda: (draw.choice(TEXTS[:4]), body),
        lambda: ("identity", body),
        lambda: ("x" * 500, body),
    ]
    encoding, content = draw.choice(made)()
    return _chat("odd encodings", drawn, content, {"content-encoding": encoding})


def slow(drawn: Drawn) -> Hostile:
    """A request that comes slowly, or stops before its end."""
    draw = drawn.draw
    whole = _chat("slow", drawn, encode(create_chat(drawn)))
    data = b"".join(whole.pieces)
    if draw.random() < 0.5:
        # It is whole in the end, after some 200 ms.
        return whole._replace(pieces=cut(data, draw, most=40), pause_s=0.005)
    stopped = data[: draw.randint(1, len(data) - 1)]
    ending: Ending = draw.choice(["wait", "half-close", "half-close", "leave"])
    return whole._replace(pieces=[stopped], ending=ending, may_be_unanswered=True)


def leaving(drawn: Drawn) -> Hostile:
    """A good request whose caller does not stay."""
    draw = drawn.draw
    whole = _chat("leaving", drawn, encode(create_chat(drawn)))
    pieces = [*whole.pieces, b""] if draw.random() < 0.7 else whole.pieces
    return whole._replace(pieces=pieces, pause_s=draw.random() * 0.02, ending="leave")


def pipelined(drawn: Drawn) -> Hostile:
    """Several requests at once on one connection; each gets its answer, in their order."""
    draw = drawn.draw
    first = _chat("pipelined", drawn, encode(create_chat(drawn)))
    others = [_chat("", drawn, encode(mutate(create_chat(drawn), draw))) for _ in range(3)]
    data = b"".join(b"".join(each.pieces) for each in [first, *others])
    return first._replace(pieces=cut(data, draw, most=4), answers=4)


KINDS: dict[Callable[[Drawn], Hostile], int] = {
    odd_members: 28,
    odd_faces: 12,
    odd_traces: 5,
    odd_responses: 6,
    odd_bytes: 8,
    odd_models: 12,
    odd_routes: 20,
    odd_queries: 3,
    odd_keys: 7,
    odd_headers: 8,
    odd_framing: 8,
    odd_encodings: 3,
    slow: 1,
    leaving: 1,
    pipelined: 1,
}
"""How often each kind is drawn."""


# ---- How they are put together -------------------------------------------------------------


def _draw_route(drawn: Drawn, *, is_open: bool = True) -> tuple[bytes, str, str, bytes | None]:
    draw, place = drawn.draw, drawn.place
    routes = [route for route in ROUTES if is_open or not health.is_open(route.path)]
    route = draw.choice(routes)
    method = draw.choice(sorted(route.methods or {"GET"}))
    if is_open and draw.random() < 0.05:
        method = draw.choice(["PATCH", "OPTIONS", "PUT", "DELETE", "TRACE", "HEAD", "PROPFIND"])
    path = route.path.replace(":path", "")
    for name in route.param_convertors:
        id = place.id if draw.random() < 0.3 and method != "DELETE" else draw.choice(TEXTS)
        # A session that is deleted takes its calls along, and they must stay to be counted.
        id = f"none {id}" if method == "DELETE" else id
        path = path.replace(f"{{{name}}}", _escape(id, draw))
    if draw.random() < 0.05:
        path = path.replace("/", draw.choice(["//", "/./", "/../", "/%2e%2e/", "\\", ";/"]))
    names = [draw.choice(_QUERY_NAMES) for _ in range(draw.choice([0, 0, 1, 2, 4]))]
    query = "&".join(f"{quote(name)}={_draw_query(drawn)}" for name in names)
    if (method, path) in _WHOLE_RECORD:
        query = f"{query}&user=nobody&filter=user%20%3D%20nobody".removeprefix("&")
    body: bytes | None = None
    if method in ("POST", "PUT", "PATCH"):
        longest = max((it for it in _BODIES if path.startswith(it)), key=len, default="/graphql")
        text = encode(mutate(_BODIES[longest], draw)).replace(b"@ID@", place.id.encode())
        body = mutate_bytes(text, draw) if draw.random() < 0.1 else text
    return method.encode(), path, query, body


_WHOLE_RECORD = (
    ("DELETE", "/api/v1/completions"),
    ("GET", "/api/v1/completions/export"),
)
"""Routes that delete or send all that is not left out. Here they find nothing."""


def _draw_query(drawn: Drawn) -> str:
    draw = drawn.draw
    value = draw.choice([*TEXTS, *NUMBERS, *_FILTERS, drawn.place.id, "20", "asc", "any", "true"])
    text = value.text if isinstance(value, Raw) else str(value)
    return _escape(text[:6000], draw)


def _escape(text: str, draw: random.Random) -> str:
    """Percent-encoded, most of the time in full."""
    safe = "" if draw.random() < 0.8 else "/%.:;@&="
    return quote(text[:6000].encode("utf-8", "surrogatepass"), safe=safe)


def _chat(kind: str, drawn: Drawn, body: bytes, headers: dict[str, str] | None = None) -> Hostile:
    return _send(kind, drawn, b"POST", CHAT, body, headers)


def _send(
    kind: str,
    drawn: Drawn,
    method: bytes,
    target: bytes,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    key: str | None = "",
) -> Hostile:
    given = {"host": f"127.0.0.1:{drawn.place.port}"}
    if body is not None:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    if key is not None:
        given["authorization"] = f"Bearer {key or drawn.place.key}"
    given |= headers or {}
    lines = b"".join(
        name.encode() + b": " + value.encode("utf-8", "surrogatepass") + b"\r\n"
        for name, value in given.items()
    )
    data = method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + (body or b"")
    pieces = [data] if drawn.draw.random() < 0.8 else cut(data, drawn.draw, most=4)
    path = target.partition(b"?")[0]
    return Hostile(kind, pieces, method=method, path=path)


def _chunk(body: bytes, draw: random.Random) -> bytes:
    """A body in chunks, with extensions and trailers that are odd."""
    extension = draw.choice([b"", b"", b";a=b", b";" + b"x" * 3000, b" ", b";\0"])
    size = draw.choice([b"%x", b"%x", b"%X", b"0000%x", b"0x%x", b"-%x"])
    trailer = b"Authorization: Bearer x\r\n"
    end = draw.choice([b"0\r\n\r\n", b"0\r\n%b\r\n" % trailer, b"0\r\n", b"", b"00\r\n\r\n"])
    pieces = cut(body, draw)
    return b"".join(size % len(it) + extension + b"\r\n" + it + b"\r\n" for it in pieces) + end
