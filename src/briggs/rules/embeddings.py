"""V: what the embeddings API answers is a list of vectors, one for each input.

https://platform.openai.com/docs/api-reference/embeddings/object
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from briggs.rules.book import Broken, rule
from briggs.types.any_json import Members, integer, number, objects, text

_FLOAT_BYTES = 4


class CheckedEmbeddings:
    """A list of embeddings, with its request if that is known."""

    def __init__(self, value: Members, request: Members | None) -> None:
        self.value = value
        self.request = request or {}

    @property
    def data(self) -> list[tuple[str, Members]]:
        """The embeddings, with their paths."""
        return list(objects(self.value.get("data"), "data"))

    @property
    def inputs(self) -> int | None:
        """How many vectors were asked for. None if the request is not known."""
        given = self.request.get("input", ...)
        if isinstance(given, str):
            return 1
        if not isinstance(given, list) or not given:
            return None
        return 1 if all(integer(each) is not None for each in given) else len(given)


@rule(
    "V1", "error", "The answer has `object: \"list\"`, a model and a list of embeddings.",
    on="embeddings",
    basis="CreateEmbeddingResponse requires object, model, data and usage; Embedding requires "
    '`object: "embedding"`, index and embedding.',
)  # fmt: skip
def is_a_list(answer: CheckedEmbeddings) -> Iterator[Broken]:
    if answer.value.get("object") != "list":
        yield Broken("object", "It is not 'list'.", answer.value.get("object", ...))
    if text(answer.value.get("model")) is None:
        yield Broken("model", "It is not a non-empty string.", answer.value.get("model", ...))
    data = answer.value.get("data", ...)
    if not isinstance(data, list):
        yield Broken("data", "It is not a list.", data)
        return
    for place, each in enumerate(data):
        if not isinstance(each, dict):
            yield Broken(f"data[{place}]", "It is not an object.", each)
        elif each.get("object") != "embedding":
            path = f"data[{place}].object"
            yield Broken(path, "It is not 'embedding'.", each.get("object", ...))


@rule(
    "V2", "error", "There is one embedding for each input, with the index of the input.",
    on="embeddings",
    basis='Embedding, index: "The index of the embedding in the list of embeddings."',
)  # fmt: skip
def has_one_for_each_input(answer: CheckedEmbeddings) -> Iterator[Broken]:
    seen: set[int] = set()
    for path, each in answer.data:
        index = integer(each.get("index"))
        if index is None or not 0 <= index < len(answer.data):
            yield Broken(f"{path}.index", "It is not a place in the list.", each.get("index", ...))
        elif index in seen:
            yield Broken(f"{path}.index", "Another embedding has the same index.", index)
        else:
            seen.add(index)
    wanted = answer.inputs
    if wanted is not None and len(answer.data) != wanted:
        yield Broken("data", f"{wanted} inputs were sent, and {len(answer.data)} embeddings came.")


@rule(
    "V3", "error", "Each embedding has the form that was asked for, and all have one length.",
    on="embeddings",
    basis="Embedding, embedding: a list of floats. With `encoding_format: \"base64\"` it is the "
    "base64 of 32-bit floats. `dimensions` is the length of each.",
)  # fmt: skip
def has_whole_vectors(answer: CheckedEmbeddings) -> Iterator[Broken]:
    is_packed = answer.request.get("encoding_format") == "base64"
    wanted = integer(answer.request.get("dimensions"))
    lengths: set[int] = set()
    for path, each in answer.data:
        vector = each.get("embedding", ...)
        length = _measure_packed(vector) if is_packed else _measure(vector)
        if length is None:
            form = "base64 of 32-bit floats" if is_packed else "a list of finite numbers"
            yield Broken(f"{path}.embedding", f"It is not {form}.", vector)
            continue
        lengths.add(length)
        if wanted is not None and length != wanted:
            message = f"It has {length} numbers, and the request asks for {wanted}."
            yield Broken(f"{path}.embedding", message)
    if len(lengths) > 1:
        yield Broken("data", f"The embeddings have several lengths: {sorted(lengths)[:5]}.")


def _measure(vector: Any) -> int | None:
    if not isinstance(vector, list) or not vector:
        return None
    return len(vector) if all(number(each) is not None for each in vector) else None


def _measure_packed(vector: Any) -> int | None:
    if not isinstance(vector, str) or not vector:
        return None
    try:
        size = len(base64.b64decode(vector, validate=True))
    except (binascii.Error, ValueError):
        return None
    return None if size % _FLOAT_BYTES else size // _FLOAT_BYTES


@rule(
    "V4", "error", "The usage has whole numbers of prompt tokens and of all tokens.",
    on="embeddings",
    basis="CreateEmbeddingResponse, usage, requires prompt_tokens and total_tokens.",
)  # fmt: skip
def counts_tokens(answer: CheckedEmbeddings) -> Iterator[Broken]:
    usage = answer.value.get("usage", ...)
    if not isinstance(usage, dict):
        yield Broken("usage", "It is not an object.", usage)
        return
    for name in ("prompt_tokens", "total_tokens"):
        count = integer(usage.get(name))
        if count is None or count < 0:
            yield Broken(f"usage.{name}", "It is not a whole number from 0.", usage.get(name, ...))
