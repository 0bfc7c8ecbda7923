"""The probes of the APIs that read inputs and write no text: embeddings and moderations."""

from __future__ import annotations

from briggs.checker import expectations
from briggs.checker.probes import ProbeWriter

_EMBEDDINGS = ProbeWriter("embeddings", {}).probe
_MODERATIONS = ProbeWriter("moderations", {}).probe
_TEXT, _TEXTS = {"input": "What is 17 + 25?"}, {"input": ["What is 17 + 25?", "日本語 😊", "é"]}
_PARTS = {"input": [{"type": "text", "text": "What is 17 + 25?"}]}
_UNKNOWN = {"model": "no-such-model-of-briggs-check"}
_REFUSED = expectations.expect_refusal("warning")
_NO_JSON = expectations.expect_refusal("error")

EMBEDDING_PROBES = (
    _EMBEDDINGS("plain", "a text", _TEXT),
    _EMBEDDINGS("inputs", "several texts", _TEXTS),
    _EMBEDDINGS(
        "base64",
        "vectors in base64",
        {**_TEXT, "encoding_format": "base64"},
        {**_TEXTS, "encoding_format": "base64"},
    ),
    _EMBEDDINGS("float", "vectors as lists of numbers", {**_TEXT, "encoding_format": "float"}),
    _EMBEDDINGS("tokens", "a text as tokens", {"input": [1, 2, 3]}),
    _EMBEDDINGS("dimensions", "vectors of a length", {**_TEXT, "dimensions": 32}),
    _EMBEDDINGS(
        "wrong-types",
        "inputs of the wrong type; they should be refused",
        {"input": {"text": "What is 17 + 25?"}},
        {"input": []},
        {**_TEXT, "encoding_format": "hot"},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _EMBEDDINGS(
        "unknown-model",
        "a model that does not exist; it should be refused",
        {**_TEXT, **_UNKNOWN},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _EMBEDDINGS(
        "no-json",
        "a body that is not JSON; it should be refused",
        b'{"input": [',
        expect=_NO_JSON,
        is_wrong=True,
    ),
)
"""In the order in which they run."""

MODERATION_PROBES = (
    _MODERATIONS("plain", "a text", _TEXT),
    _MODERATIONS("inputs", "several texts", _TEXTS),
    _MODERATIONS("parts", "a text as a part", _PARTS),
    _MODERATIONS(
        "wrong-types",
        "inputs of the wrong type; they should be refused",
        {"input": {"text": "What is 17 + 25?"}},
        {"input": 42},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _MODERATIONS(
        "no-json",
        "a body that is not JSON; it should be refused",
        b'{"input": [',
        expect=_NO_JSON,
        is_wrong=True,
    ),
)
"""In the order in which they run."""
