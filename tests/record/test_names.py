"""NameDetector of people are found by a pipeline of spaCy, and nothing of one is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy

from briggs.record import names as module
from briggs.record.names import NameDetector
from briggs.record.redaction import Redaction, check_redaction, open_redaction
from briggs.settings import FileSettings, RedactionSettings
from briggs.types.completions import Completion

PEOPLE = ("Ada Lovelace", "Jürgen Müller", "张伟", "Zoë")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a pipeline that knows a few people and a town, and tags words as well."""
    folder = tmp_path_factory.mktemp("pipeline")
    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    ruler: Any = language.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": name} for name in PEOPLE])
    ruler.add_patterns([{"label": "GPE", "pattern": "London"}])
    language.to_disk(folder)
    return str(folder)


@pytest.fixture(scope="module")
def redaction(pipeline: str) -> Redaction:
    opened = open_redaction(RedactionSettings(detect=["email"], names=pipeline))
    assert opened is not None
    return opened


def redact(redaction: Redaction, **members: Any) -> Completion:
    return redaction.redact(Completion(organization_id="default", status="finished", **members))


def test_names_in_every_text(redaction: Redaction) -> None:
    """Names go from messages, JSON in strings, labels and tokens. Towns and other kinds do not."""
    arguments = json.dumps({"to": "Mrs Ada Lovelace", "from": "a London address"})
    request = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "Zoë met Jürgen Müller"}]}
    )
    pieces = ["To ", "Ada", " Love", "lace", " now"]
    tokens = [{"token": each, "bytes": None, "logprob": -1.0} for each in pieces]
    message = {"content": "".join(pieces), "tool_calls": [{"arguments": arguments}]}
    response = json.dumps({"choices": [{"message": message, "logprobs": {"content": tokens}}]})
    found = redact(
        redaction,
        request=request.encode(),
        response=response.encode(),
        metadata={"who": "with Ada Lovelace", "mail": "to bob@example.com"},
    )
    content = json.loads(found.request)["messages"][0]["content"]
    assert content == "[redacted:name] met [redacted:name]"
    assert found.response is not None
    (choice,) = json.loads(found.response)["choices"]
    assert choice["message"]["content"] == "To [redacted:name] now"
    assert json.loads(choice["message"]["tool_calls"][0]["arguments"]) == {
        "to": "Mrs [redacted:name]",
        "from": "a London address",
    }
    assert [each["token"] for each in choice["logprobs"]["content"]][1:4] == ["[redacted]"] * 3
    assert found.metadata == {"who": "with [redacted:name]", "mail": "to [redacted:email]"}
    assert found.redacted == {"name": 5, "email": 1}


def test_single_words_are_left_alone(redaction: Redaction) -> None:
    """What is one word, such as a model, a role or an id, is not looked at."""
    found = redact(redaction, model="Zoë", request=b'{"model":"Zo\xc3\xab","user":"Zo\xc3\xab"}')
    assert found.model == "Zoë" and found.request == b'{"model":"Zo\xc3\xab","user":"Zo\xc3\xab"}'


def test_streams(redaction: Redaction) -> None:
    """A stream whose chunks spell a name together is not kept as it came."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": each}}]} for each in ("I, Z", "oë .")]
    received = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)
    assert redact(redaction, stream=True, received=received).received is None
    assert redact(redaction, stream=True, received=received[:60]).received is None
    clean = received.replace(b"o\\u00eb", b"oo")
    assert redact(redaction, stream=True, received=clean).received is clean


def test_places_in_long_and_broken_texts(pipeline: str) -> None:
    """Places are right behind characters of several bytes, halves of them, and invalid bytes."""
    names = NameDetector(pipeline)
    name = "Jürgen Müller".encode()
    for before in (b"\xff\xfe ", b"\xed\xa0\xbd 1 ", "你好 🙂 ".encode(), b"word " * 3_000):
        text = before + name + " and 张伟 go".encode()
        spans = [*names.find(text)]
        assert [text[begin:end] for begin, end in spans] == [name, "张伟".encode()], before
    assert [*names.find(b"x" * 9_000 + b" y")] == []


def test_too_much_text(redaction: Redaction, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion with more text than is read is recorded without its texts, and says why."""
    monkeypatch.setattr("briggs.record.redaction.TEXT_BYTES_MAX", 100)
    request = json.dumps({"messages": ["to Ada Lovelace " * 10]}).encode()
    found = redact(redaction, request=request, total_tokens=7)
    assert found.request == b"" and found.total_tokens == 7
    assert found.failure_reason is not None and "too long to look for names" in found.failure_reason
    assert redact(redaction, request=b'{"a":"%s"}' % (b"x" * 200)).request != b""


def test_a_pipeline_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named with the command that installs it, and so is what finds no names."""

    def check(name: str) -> str:
        file = FileSettings(redaction=RedactionSettings(names=name))
        ((place, message, is_error),) = check_redaction(file)
        assert place == ("redaction", "names") and is_error
        return message

    assert "python -m spacy download en_core_none" in check("en_core_none")
    (tmp_path / "empty").mkdir()
    assert "is not a pipeline that spaCy finds. Name a folder" in check(str(tmp_path / "empty"))
    spacy.blank("en").to_disk(tmp_path / "blank")
    assert "finds no names" in check(str(tmp_path / "blank"))
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    module._load.cache_clear()
    assert "pip install 'briggs[names]'" in check("en_core_web_sm")
    module._load.cache_clear()
