"""What is redacted, what is not, and that bodies stay valid whatever they contain."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from briggs.record.detectors import Detector
from briggs.record.redaction import Redaction, check_redaction, open_redaction
from briggs.settings import FileSettings, RedactionSettings
from briggs.types.completions import Attempt, Completion
from tests.storage.records import completions as any_completions

KINDS: Any = ["key", "email", "card", "phone", "iban"]


def open_all(**patterns: str) -> Redaction:
    redaction = open_redaction(RedactionSettings(detect=KINDS, patterns=patterns))
    assert redaction is not None
    return redaction


ALL = open_all()


def redact(**members: Any) -> Completion:
    return ALL.redact(Completion(organization_id="default", status="finished", **members))


def redact_text(text: str) -> str:
    request = redact(request=json.dumps({"text": text}).encode()).request
    found: str = json.loads(request)["text"]
    return found


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("sk-proj-Abc123_-4567890abcdefgh", "key"),
        ("sk-ant-api03-AbCdEf0123456789-_xyz", "key"),
        ("sk-briggs-AbCdEf0123456789AbCdEf01", "key"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "key"),
        ("AKIAIOSFODNN7EXAMPLE", "key"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "key"),
        ("xoxb-1234567890-abcdefghij", "key"),
        ("hf_abcdefghijABCDEFGHIJ0123456789", "key"),
        ("gsk_" + "a1" * 24, "key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc123-_def456", "key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpA0\n-----END RSA PRIVATE KEY-----", "key"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQ2", "key"),
        ("bob.smith+tag@mail.example.co.uk", "email"),
        ("jürgen@müller.example", "email"),
        ("4111 1111 1111 1111", "card"),
        ("4111-1111-1111-1111", "card"),
        ("4111111111111111", "card"),
        ("378282246310005", "card"),
        ("5555 5555 5555 4444 12/26 123", "card"),
        ("+49 30 1234567", "phone"),
        ("+1 (415) 555-2671", "phone"),
        ("(415) 555-2671", "phone"),
        ("415-555-2671", "phone"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "iban"),
    ],
)
def test_what_is_found(text: str, kinds: str) -> None:
    """Each is found alone, in a sentence and in brackets, and nothing around it is taken."""
    found = redact_text(text)
    assert found.startswith(f"[redacted:{kinds}]"), found
    rest = found.removeprefix(f"[redacted:{kinds}]")
    assert redact_text(f"It is:\n{text}") == f"It is:\n[redacted:{kinds}]{rest}"
    assert redact_text(f"({text})\\n") == f"([redacted:{kinds}]{rest})\\n"


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-for-the-whole-quarter",
        "sk-loading-indicator-of-the-page-large",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "1790000000000000",
        "12345678901234567890123456789012",
        "2026-11-29 14:00:00.123456",
        "0199d5a0-0000-7000-8000-000000000001",
        "GB82 WEST 1234 5698 7654 33",
        "call 112 or 555",
        "3.14159265358979",
        "x@y",
        "@mention of user",
        "a@b c@d",
        "192.168.100.200",
        "1+12345678",
        "https://example.com/?q=+12345678901",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    """Ordinary numbers, words, times and ids are not taken for something else."""
    assert redact_text(text) == text


def test_json_in_strings_escapes_and_numbers() -> None:
    """Tool arguments stay JSON, whatever is escaped in them, and a number becomes a string."""
    inner = {"to": ["bob@example.com", "é"], "card": 4111111111111111, "n": 12, "bob@x.com": None}
    arguments = json.dumps(json.dumps(inner)).replace("@", "\\\\u0040")
    request = b'{"a": %s,  "b":"bob\\u0040example.com", "c": [1e400, -0]}' % arguments.encode()
    found = redact(request=request)
    assert b'"b":"[redacted:email]", "c": [1e400, -0]}' in found.request, "the rest is as it was"
    assert json.loads(json.loads(found.request)["a"]) == {
        "to": ["[redacted:email]", "é"],
        "card": "[redacted:card]",
        "n": 12,
        "[redacted:email]": None,
    }
    assert found.redacted == {"email": 3, "card": 1}


def test_what_is_not_text_or_not_json() -> None:
    """Images are left alone. Cut JSON and error pages are redacted as far as they are text."""
    image = b'{"url":"data:image/png;base64,bob@x.com","data":"%s"}' % (b"Ab+1" * 500)
    assert redact(request=image).request == image
    cut = b'{"a": "bob\\u0040x.com", "b": "al@x.com'
    assert redact(response=cut).response == b'{"a": "[redacted:email]", "b": "[redacted:email]'
    page = b"<html>\xff bob@example.com</html>"
    assert redact(received=page).received == b"<html>\xff [redacted:email]</html>"
    lone = b'{"a":"\\ud83d bob@x.com \\udfff"}'
    assert redact(request=lone).request == b'{"a":"\\ud83d [redacted:email] \\udfff"}'
    twice = b'{"a":"bob@x.com","a":"alice@x.com"}'
    assert b"@" not in redact(request=twice).request


def create_token(text: str) -> dict[str, Any]:
    other = {"token": text, "bytes": list(text.encode()), "logprob": -0.1}
    return {**other, "top_logprobs": [other]}


def test_tokens_that_spell_it() -> None:
    """Tokens lose their text, bytes and alternatives where they spell what is redacted."""
    pieces = ["Write ", "to b", "ob", "@exam", "ple.com", " now"]
    message = {"role": "assistant", "content": "".join(pieces)}
    choice = {"message": message, "logprobs": {"content": [create_token(each) for each in pieces]}}
    found = redact(response=json.dumps({"choices": [choice]}).encode())
    assert found.response is not None
    (kept,) = json.loads(found.response)["choices"]
    assert kept["message"]["content"] == "Write to [redacted:email] now"
    tokens = kept["logprobs"]["content"]
    assert [each["token"] for each in tokens] == [
        "Write ",
        "[redacted]",
        "[redacted]",
        "[redacted]",
        "[redacted]",
        " now",
    ]
    assert {json.dumps(each["bytes"]) for each in tokens[1:5]} == {"null"}
    assert [each["top_logprobs"] for each in tokens[1:5]] == [[], [], [], []]
    assert found.redacted == {"email": 1}
    old = {"tokens": pieces, "token_logprobs": [-1] * 6, "top_logprobs": [{p: -1} for p in pieces]}
    text = json.dumps({"choices": [{"text": "".join(pieces), "logprobs": old}]}).encode()
    found = redact(response=text)
    assert found.response is not None and b"exam" not in found.response


def create_frames(*pieces: str, index: int = 0) -> bytes:
    chunks = [{"choices": [{"index": index, "delta": {"content": piece}}]} for piece in pieces]
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)


def test_streams() -> None:
    """A stream is kept only if no secret is in it, not even spread over its chunks."""
    clean = create_frames("no ", "secret") + b"data: [DONE]\n\n"
    assert redact(stream=True, received=clean).received is clean
    spread = create_frames("bob@", "exam", "ple.com")
    assert redact(stream=True, received=spread).received is None
    between = create_frames("bob@") + create_frames("x", index=1) + create_frames("example.com")
    assert redact(stream=True, received=between).received is None
    tools = b"".join(
        b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":'
        b'{"arguments":%s}}]}}]}\n\n' % json.dumps(piece).encode()
        for piece in ('{"a": "bob@', "exam", 'ple.com"}')
    )
    assert redact(stream=True, received=tools).received is None
    anthropic = (
        b"event: content_block_delta\ndata: "
        b'{"type":"content_block_delta","index":0,"delta":{"text":"bob@"}}\n\n'
        b"event: content_block_delta\ndata: "
        b'{"type":"content_block_delta","index":0,"delta":{"text":"example.com"}}\n\n'
    )
    assert redact(stream=True, received=anthropic).received is None
    unreadable = b"\x00\x00\x01\x8d:event-type\x07 bob@ \x00 example.com"
    assert redact(stream=True, received=unreadable).received is None


def test_every_member_that_others_write() -> None:
    """Labels, names, errors and attempts are redacted, and the given completion is not changed."""
    secret = "bob@example.com"
    given = Completion(
        organization_id="default",
        status="failed",
        model=f"openai/{secret}",
        response_model=secret,
        response_id=secret,
        system_fingerprint=secret,
        user=secret,
        session_id=secret,
        tags=[secret, "plain"],
        metadata={secret: f"of {secret}"},
        failure_reason=f"no such user: {secret}",
        call_site={"stacktrace": [{"line": f"send({secret!r})"}]},
        attempts=[Attempt(target=f"openai/{secret}", duration_ms=1, mended=[f"to {secret}"])],
        request=b"{}",
    )
    found = ALL.redact(given)
    assert secret not in repr(found)
    assert repr(given).count(secret) == 13
    assert found.tags == ["[redacted:email]", "plain"]
    assert found.redacted["email"] == 11


def test_what_cannot_be_redacted_is_not_recorded() -> None:
    """If redacting fails, the completion is recorded without its texts, and says so."""
    broken = Redaction([Detector("broken", None)])
    given = Completion(
        organization_id="default",
        user="bob@example.com",
        tags=["bob@example.com"],
        total_tokens=7,
        request=b"bob@example.com",
        response=b"bob@example.com",
    )
    found = broken.redact(given)
    assert "bob" not in repr(found) and found.total_tokens == 7
    assert found.failure_reason is not None and "could not be redacted" in found.failure_reason


def test_deep_json() -> None:
    """JSON that is nested deeply is redacted as well as any."""
    depth = 3_000
    deep = b"[" * depth + b'{"content": "bob@example.com"}' + b"]" * depth
    found = redact(response=deep).response
    assert found is not None and found.strip(b"[]") == b'{"content": "[redacted:email]"}'


def test_own_patterns() -> None:
    """A pattern has a name, and may be about the whole of a text. The longest find counts."""
    redaction = open_all(ticket=r"TICKET-\d+", word="^secret$", domain=r"@example\.com")
    body = json.dumps({"a": "TICKET-12 secret", "b": "secret", "c": "x@example.com"}).encode()
    found = redaction.redact(Completion(organization_id="default", request=body))
    assert json.loads(found.request) == {
        "a": "[redacted:ticket] secret",
        "b": "[redacted:word]",
        "c": "[redacted:email]",
    }


def test_patterns_that_cannot_be_used() -> None:
    """What RE2 does not have is refused, and so is a pattern that matches everywhere."""
    patterns = {"a": "(?=x)", "b": "x*", "c": "(", "Not A Name": "x", "fine": "x+"}
    file = FileSettings(redaction=RedactionSettings(patterns=patterns))
    problems = {place[-1]: message for place, message, _ in check_redaction(file)}
    assert set(problems) == {"a", "b", "c", "Not A Name"}
    assert "matches the empty text" in problems["b"]
    assert open_redaction(RedactionSettings()) is None


def test_time_is_linear() -> None:
    """Texts made to be slow are not: a megabyte takes less than two seconds."""
    for hostile in ("a" * 500_000 + "@", "1 " * 250_000, "+1" * 250_000, "[" * 500_000):
        began = time.process_time()
        redact(request=json.dumps({"text": hostile}).encode())
        assert time.process_time() - began < 2, hostile[:10]


secrets = st.sampled_from(
    ["bob@example.com", "sk-abc123def456ghi789jkl012", "4111 1111 1111 1111", "+49 30 1234567"]
)
texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | secrets,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | secrets, inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(values, st.booleans())
def test_any_json(value: Any, is_ascii: bool) -> None:
    """Any JSON stays JSON, at any depth of JSON in strings, and no secret is left in it."""
    body = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    found = redact(request=body).request
    redacted = json.loads(found.decode("utf-8", "surrogatepass"))
    assert type(redacted) in (type(value), str)
    flat = json.dumps(redacted)
    assert "bob@example.com" not in flat and "sk-abc123def456" not in flat
    assert "4111 1111" not in flat
    assert redact(request=found).request == found, "a mark is not redacted again"


@settings(max_examples=200)
@given(any_completions())
def test_any_completion(completion: Completion) -> None:
    """Completions of any content can be redacted, and keep what has no secret."""
    found = ALL.redact(completion)
    assert found.id == completion.id and found.created_at == completion.created_at
    again = ALL.redact(found)
    assert (again.request, again.response, again.tags) == (
        found.request,
        found.response,
        found.tags,
    )
