"""OpenAI's embeddings as callers get them, whichever vendor computes them.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw

from briggs.types import json
from briggs.types.any_json import integer, members, text
from briggs.types.completions import CallKind
from briggs.types.envelope import Envelope, read_members
from briggs.types.errors import InvalidRequest, UpstreamInvalid
from briggs.types.usage import COUNT_MAX
from briggs.wires.chunks import MALFORMED
from briggs.wires.forwarded import Forwarded, ForwardedFace

_Token = Annotated[int, Meta(ge=0)]
_TYPES: dict[str, Any] = {
    "input": str | list[str | _Token | list[_Token]],
    "dimensions": Annotated[int, Meta(ge=1)] | None,
    "encoding_format": Literal["float", "base64"] | None,
}
_KNOWN = frozenset({*_TYPES, "model", "user"})
_Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]


class _Embedding(msgspec.Struct):
    object: Literal["embedding"]
    index: int


class _Usage(msgspec.Struct):
    prompt_tokens: _Count
    total_tokens: _Count


class _Answer(msgspec.Struct):
    """What the specification requires beside the vectors."""

    object: Literal["list"]
    data: list[_Embedding]
    model: Annotated[str, Meta(min_length=1)]
    usage: _Usage


class _Vector(NamedTuple):
    numbers: Sequence[float]
    is_text: bool
    """Whether it came in base64."""


_STRICT = msgspec.json.Decoder(_Answer)
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ITEMS = msgspec.json.Decoder(list[dict[str, Raw]])
_VECTOR = msgspec.json.Decoder(str | list[float])


class EmbeddingsFace(ForwardedFace):
    """`POST /v1/embeddings`."""

    kind: CallKind = "embedding"
    required = ("model", "input")
    absence = (
        "has no embeddings: use a model of another provider, such as openai/text-embedding-3-small."
    )

    def check(self, envelope: Envelope) -> None:
        read_members(envelope, _TYPES)
        asked = envelope.values["input"]
        if asked == []:
            raise InvalidRequest("'input' is empty: send at least one text.", param="input")
        if isinstance(asked, list) and (len({*map(type, asked)}) > 1 or [] in asked):
            raise InvalidRequest(
                "Invalid value for 'input': send a text, texts, tokens, or lists of tokens.",
                param="input",
            )

    def read_answer(self, body: bytes, *, envelope: Envelope) -> Forwarded:
        try:
            answer = _MEMBERS.decode(body)
            items = _ITEMS.decode(answer["data"])
            vectors = [_read_vector(item["embedding"]) for item in items]
            places = [integer(json.decode(item.get("index", b"null"))) for item in items]
            usage = members(json.decode(answer.get("usage", b"null")))
            model = text(json.decode(answer.get("model", b"null")))
        except (*MALFORMED, UnicodeError, RecursionError) as error:
            raise UpstreamInvalid("the upstream's answer is not a list of embeddings") from error
        if len(items) != count_inputs(envelope):
            raise UpstreamInvalid(
                f"the upstream sent {len(items)} embeddings, and {count_inputs(envelope)} were "
                "asked for"
            )
        as_text = envelope.values.get("encoding_format") == "base64"
        prompt = _read_count(usage.get("prompt_tokens"))
        total = _read_count(usage.get("total_tokens"))
        total = prompt if total is None else total
        whole: dict[str, Any] = dict(answer)
        whole["data"] = items
        if not _conforms(body, vectors, as_text=as_text):
            # The specification has no answer without counts.
            counts = {"prompt_tokens": prompt or 0, "total_tokens": total or 0}
            whole["data"] = _mend(items, vectors, places, as_text=as_text)
            whole |= {"object": "list", "model": model or envelope.model}
            whole["usage"] = {**usage, **counts}
            body = json.encode_plain(whole)
        return Forwarded(
            body=body,
            kept=json.encode_plain({**whole, "data": _leave_out(whole["data"], vectors)}),
            model=model,
            prompt_tokens=prompt,
            total_tokens=total,
            usage=usage,
        )


def count_inputs(envelope: Envelope) -> int:
    """How many vectors a request asks for."""
    asked = envelope.values["input"]
    is_one = isinstance(asked, str) or isinstance(asked[0], int)
    return 1 if is_one else len(asked)


def list_texts(envelope: Envelope, *, vendor: str) -> list[str]:
    """The texts of a request. Raises `InvalidRequest` for tokens, which only OpenAI's API takes."""
    asked = envelope.values["input"]
    texts = [asked] if isinstance(asked, str) else asked
    if not isinstance(texts[0], str):
        raise InvalidRequest(
            f"{vendor} reads text, but 'input' is made of tokens: send texts.", param="input"
        )
    return texts


def list_unknown(envelope: Envelope) -> dict[str, Raw]:
    """The members that the specification does not know, which are for the vendor."""
    return {name: raw for name, raw in envelope.members.items() if name not in _KNOWN}


def write_vectors(vectors: Sequence[Any], *, model: str, tokens: int | None) -> bytes:
    """An answer in OpenAI's format, from the vectors of another vendor."""
    counts = {} if tokens is None else {"prompt_tokens": tokens, "total_tokens": tokens}
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    return json.encode_plain({"object": "list", "data": data, "model": model, "usage": counts})


def _conforms(body: bytes, vectors: Sequence[_Vector], *, as_text: bool) -> bool:
    """Whether an answer is what the specification says, in the encoding that was asked for."""
    if any(vector.is_text != as_text for vector in vectors):
        return False
    try:
        answer = _STRICT.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return _are_places([each.index for each in answer.data])


def _mend(
    items: Sequence[Mapping[str, Raw]],
    vectors: Sequence[_Vector],
    places: Sequence[int | None],
    *,
    as_text: bool,
) -> list[dict[str, Any]]:
    """The items with the specification's members. Without places, they are in order."""
    places = places if _are_places(places) else range(len(items))
    return [
        {
            **item,
            "object": "embedding",
            "index": place,
            "embedding": _write_vector(vector.numbers, as_text=as_text)
            if vector.is_text != as_text
            else item["embedding"],
        }
        for item, vector, place in zip(items, vectors, places, strict=True)
    ]


def _are_places(indices: Sequence[int | None]) -> bool:
    """Whether each index from 0 comes once."""
    return set(indices) == {*range(len(indices))}


def _leave_out(
    items: Sequence[Mapping[str, Any]], vectors: Sequence[_Vector]
) -> list[dict[str, Any]]:
    """The items with the lengths of their vectors instead of the vectors."""
    return [
        {**{name: item[name] for name in item if name != "embedding"}, "dimensions": len(numbers)}
        for item, (numbers, _) in zip(items, vectors, strict=True)
    ]


def _read_vector(raw: Raw) -> _Vector:
    """Read a vector of either encoding. Raises `ValueError` and what msgspec raises."""
    value = _VECTOR.decode(raw)
    is_text = isinstance(value, str)
    numbers = array("f", base64.b64decode(value, validate=True) if is_text else value)
    if is_text and sys.byteorder == "big":
        numbers.byteswap()
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a vector has a number that is not finite")
    return _Vector(numbers if is_text else value, is_text)


def _write_vector(numbers: Sequence[float], *, as_text: bool) -> str | list[float]:
    """A vector as numbers, or as 32-bit floats in base64, the smallest byte first."""
    if not as_text:
        return list(numbers)
    packed = array("f", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()


def _read_count(value: Any) -> int | None:
    count = integer(value)
    return count if count is not None and 0 <= count <= COUNT_MAX else None
