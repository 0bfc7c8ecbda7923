"""What probes expect beyond the rule book is found where it is missing, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.checker import PROBES, Endpoint, Result, run_probe
from tests.checker.model import Json, create_response
from tests.checker.plants import Plant, in_calls, in_choice, in_logprobs, in_response
from tests.checker.server import answer_with
from tests.processes import Behaviour, Seen, Upstream


def _end_by_stop(choice: Json) -> None:
    if choice["finish_reason"] == "length":
        choice["finish_reason"] = "stop"


def _say_something_else(response: Json) -> None:
    """The id is another each time."""
    response["choices"][0]["message"]["content"] = response["id"]


PLANTS = {
    "logprobs": in_logprobs(lambda tokens: [token.update(top_logprobs=[]) for token in tokens]),
    "tools-named": in_calls(
        lambda calls: [call["function"].update(name="get_weather") for call in calls]
    ),
    "length": in_choice(_end_by_stop),
    "seed": Plant(whole=_say_something_else),
}
"""By the probe that finds it."""


async def run(probe: str, behaviour: Behaviour) -> Result:
    [chosen] = [each for each in PROBES if each.name == probe]
    upstream = Upstream({"it": behaviour})
    async with Endpoint(f"http://127.0.0.1:{upstream.port}/it/v1", model="m-1") as endpoint:
        result = await run_probe(chosen, endpoint)
    upstream.close()
    return result


@pytest.mark.parametrize("probe", PLANTS)
async def test_what_is_expected(probe: str) -> None:
    """No rule is broken, and the answer is still none to what was asked."""
    result = await run(probe, answer_with(PLANTS[probe]))
    assert {finding.rule for finding in result.findings} == {"probe"}
    assert result.verdict in ("warn", "fail")


async def test_ids_are_told_apart() -> None:
    """Two answers of one id are found."""
    result = await run("seed", answer_with(in_response(id="chatcmpl-1")))
    assert [finding.message for finding in result.findings] == [
        "two answers have the id chatcmpl-1"
    ]


async def test_a_seed_promises_nothing_of_another_system() -> None:
    """Where the system_fingerprint is another, the text may be another too."""

    def answer_anew(response: Json) -> None:
        _say_something_else(response)
        response["system_fingerprint"] = response["id"]

    assert (await run("seed", answer_with(Plant(whole=answer_anew)))).findings == []


async def test_characters_that_do_not_come() -> None:
    """Without characters of several bytes the probe of them says that it has seen none."""

    def answer(handler: Any, seen: Seen) -> None:
        asked = seen.json
        asked["messages"][0]["content"] = "Repeat: ascii"
        answer_with(Plant())(handler, seen._replace(body=json.dumps(asked).encode()))

    result = await run("characters", answer)
    assert result.verdict == "pass"
    assert {finding.severity for finding in result.findings} == {"info"}


def answer_anything(handler: Any, seen: Seen) -> None:
    """Never refuse anything."""
    response = create_response({"messages": [{"content": "What is 17 + 25?"}]})
    handler.send_whole(200, json.dumps(response).encode())


@pytest.mark.parametrize("probe", ["wrong-types", "unknown-model"])
async def test_wrong_requests_that_are_answered(probe: str) -> None:
    """To answer what is wrong is worth a warning."""
    result = await run(probe, answer_anything)
    assert ("probe", "warning") in {(each.rule, each.severity) for each in result.findings}


@pytest.mark.parametrize("probe", ["no-messages", "no-json"])
async def test_no_request_at_all_that_is_answered(probe: str) -> None:
    """To answer what asks nothing is an error."""
    assert (await run(probe, answer_anything)).verdict == "fail"


def fail(handler: Any, seen: Seen) -> None:
    """Fail on everything, by an error as it must be."""
    error = {"message": "Oh no.", "type": "server_error", "param": None, "code": None}
    handler.send_whole(500, json.dumps({"error": error}).encode())


async def test_a_failure_is_no_refusal() -> None:
    """A 500 is an error to what is right, and a wrong answer to what is wrong."""
    assert (await run("n", fail)).verdict == "fail"
    assert (await run("no-json", fail)).verdict == "warn"


async def test_an_endpoint_that_ends() -> None:
    """Who does not answer after a caller went away has failed the probe."""
    gone: list[Seen] = []

    def answer_once(handler: Any, seen: Seen) -> None:
        # The first answer may still be written when the second request comes.
        gone.append(seen)
        if len(gone) == 1:
            answer_with(Plant())(handler, seen)
        handler.close_connection = True

    result = await run("hang-up", answer_once)
    assert result.verdict == "fail"
    assert result.findings[0].message.startswith("it did not answer: ")
