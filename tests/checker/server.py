"""Serves the model that answers as it should, spoilt by one plant a base URL."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.checker.model import (
    Refused,
    create_chunks,
    create_response,
    read_request,
    write_stream,
)
from tests.checker.plants import Plant
from tests.processes import Behaviour, Seen, Upstream

SOUND = "sound"
"""The name under which nothing is spoilt."""


@contextlib.contextmanager
def open_model(plants: Mapping[str, Plant] = {SOUND: Plant()}) -> Iterator[Upstream]:
    """Run it in a thread: `/NAME/v1` is spoilt by the plant of that name."""
    upstream = Upstream({name: answer_with(plant) for name, plant in plants.items()})
    with contextlib.closing(upstream):
        yield upstream


def answer_with(plant: Plant) -> Behaviour:
    """The model that answers as it should, but for what is planted."""

    def behave(handler: Any, seen: Seen) -> None:
        try:
            request = read_request(seen.body)
        except Refused as refused:
            plant.error(refused.body)
            headers = {"content-type": plant.error_type}
            handler.send_whole(refused.status, json.dumps(refused.body).encode(), headers)
            return
        if request.get("stream"):
            chunks = create_chunks(request)
            plant.chunks(chunks)
            handler.begin_stream(plant.stream_type)
            handler.write_piece(plant.stream(write_stream(chunks)))
            handler.write_piece(b"")
        else:
            response = create_response(request)
            plant.whole(response)
            handler.send_whole(200, plant.body(json.dumps(response).encode()))

    return behave
