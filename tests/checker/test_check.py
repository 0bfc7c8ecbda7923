"""The battery: a sound endpoint passes, and each planted violation is found and named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from briggs.checker import PROBES, Endpoint, check_endpoint
from briggs.rules import RULES, check_request
from briggs.types.json import encode
from tests.checker.planted import HANDED_ON, Planted, open_planted, try_plant
from tests.checker.plants import INVISIBLE, PLANTS
from tests.checker.server import SOUND, open_model


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Planted]:
    """What is found in each plant, and what Briggs makes of it."""

    async def try_all() -> dict[str, Planted]:
        with open_planted(tmp_path_factory.mktemp("planted")) as (upstream, server):
            return {
                rule: await try_plant(rule, upstream=upstream, server=server) for rule in PLANTS
            }

    return asyncio.run(try_all())


async def test_a_sound_endpoint_passes() -> None:
    """Nothing at all is found in answers that are as they should be."""
    with open_model() as upstream:
        base_url = f"http://127.0.0.1:{upstream.port}/{SOUND}/v1"
        async with Endpoint(base_url, model="m-1") as endpoint:
            results = [result async for result in check_endpoint(endpoint)]
    assert {result.probe: (result.verdict, result.findings) for result in results} == {
        probe.name: ("pass", []) for probe in PROBES
    }


@pytest.mark.parametrize("rule", PLANTS)
def test_a_planted_violation_is_found(planted: dict[str, Planted], rule: str) -> None:
    """The checker names the rule that is broken, as severely as the book has it, and no other."""
    found = {(finding.rule, finding.severity) for finding in planted[rule].findings}
    assert {name for name, _ in found} == {rule} | PLANTS[rule].also
    assert (rule, RULES[rule].severity) in found


@pytest.mark.parametrize("rule", PLANTS)
def test_briggs_hands_no_error_on(planted: dict[str, Planted], rule: str) -> None:
    """What is an error is mended or refused, but for those that are known."""
    if RULES[rule].severity == "error":
        assert (planted[rule].outcome == "passed on") == (rule in HANDED_ON)


def test_every_rule_is_planted_or_cannot_be_seen() -> None:
    """No rule is forgotten."""
    chat = {id for id in RULES if id[0] not in "PAVTO"}
    assert PLANTS.keys() | INVISIBLE.keys() == chat
    assert not PLANTS.keys() & INVISIBLE.keys()


def test_probes_keep_the_rules_of_requests() -> None:
    """What is asked is right, but where a probe says that it is wrong."""
    asks = [ask for probe in PROBES if not probe.is_wrong for ask in probe.asks]
    for ask in asks:
        assert isinstance(ask.members, Mapping)
        assert check_request(encode({"model": "m-1", **ask.members})) == []
