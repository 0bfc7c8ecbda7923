"""Prompts in traffic: what is the same in them, and how the calls of each fare."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from briggs import Client, Refused
from briggs.evals.prompts import Sorter, join, write_template
from briggs.types import json
from briggs.types.completions import Completion
from tests.cli.running import RunningServer, open_server, run
from tests.processes import create_response

SUPPORT = "You are a clerk of {}.\n\nThe customer is {}. Answer in one sentence, and never guess."
SUMS = "Add the numbers that you are given. Say only the sum."


@pytest.mark.parametrize(
    ("first", "second", "template"),
    [
        ("Hello Ann, hi.", "Hello Bob, hi.", "Hello {1} hi."),
        ("a b c d", "a b c d", "a b c d"),
        ("a b\nc d", "a x y z\nc d", "a {1}\nc d"),
        ("a b c", "a b c and more", "a b c {1}"),
        ("say a b c", "never say a b c", "{1} a b c"),
    ],
)
def test_templates(first: str, second: str, template: str) -> None:
    """What differs is a variable; line ends and blanks between fixed words stay."""
    sorter = Sorter()
    sorter.add([create(first), create(second)], {})
    (prompt,) = sorter.report().prompts
    assert (prompt.template, prompt.calls) == (template, 2)


def create(system: str) -> Completion:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "x"}]
    body = json.encode({"model": "m", "messages": messages})
    return Completion(organization_id="default", model="m", request=body)


def test_other_prompts_stay_apart() -> None:
    """Texts that share few words are different prompts, and their order does not matter."""
    texts = [SUPPORT.format("Acme", "Ann"), SUMS, SUPPORT.format("Zen", "Bo Li"), SUMS]
    for order in (texts, texts[::-1]):
        sorter = Sorter()
        sorter.add([create(each) for each in order], {})
        found = {each.template: (each.calls, each.texts) for each in sorter.report().prompts}
        support = SUPPORT.format("{1}", "{2}").replace("{1}.", "{1}").replace("{2}.", "{2}")
        assert found == {support: (2, 2), SUMS: (2, 1)}


def test_hostile_texts_are_quick() -> None:
    """Many long texts of one word, and of many, take linear time."""
    began = time.process_time()
    sorter = Sorter()
    sorter.add([create("a " * 5_000 + str(n)) for n in range(100)], {})
    sorter.add([create(" ".join(f"{n}-{k}" for k in range(2_000))) for n in range(150)], {})
    found = sorter.report()
    assert time.process_time() - began < 20
    assert len(found.prompts) == 100 and found.left_out == 51


def test_joining_is_the_same_again() -> None:
    """A template that takes one of its own texts again does not change."""
    joined = join(["a", " b", " c"], ["a", " x", " c"])
    assert join(joined, ["a", " b", " c"]) == joined
    assert write_template(joined) == ("a {1} c", 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("prompts")) as running:
        yield running


def test_prompts_on_record(server: RunningServer) -> None:
    """Calls are counted by prompt, with their lengths and the grades that people gave."""
    with Client(server.url, server.api_key) as client:
        schema = {
            "type": "object",
            "properties": {"stars": {"type": "integer"}, "ok": {"type": "boolean"}},
        }
        task = client.feedback_tasks.create("quality", schema)
        for number, (system, stars) in enumerate(
            [(SUPPORT.format("Acme", f"number {n}"), 4 + n % 2) for n in range(6)]
            + [(SUMS, 1), (SUMS, 2), ("", 3)]
        ):
            messages = [{"role": "system", "content": system}] if system else []
            messages.append({"role": "user", "content": f"q {number}"})
            made = client.completions.create(
                {"model": "m", "messages": messages}, create_response(), tags=["prompted"]
            )
            client.feedback.create(task.id, {"stars": stars, "ok": True}, completion_ids=[made.id])
        own = {"model": "m", "messages": [{"role": "system", "content": "Grade it."}]}
        client.completions.create(own, create_response(), tags=["prompted", "judge"])
        found = client.prompts.list(filter="tag = prompted")
        assert (found.looked_at, found.without, found.left_out) == (9, 1, 0)
        support, sums = found.data
        assert (support.calls, support.texts, support.variables) == (6, 6, 1)
        assert "The customer is number {1}" in support.template
        assert (sums.template, sums.models) == (SUMS, {"m-1": 2})
        assert (sums.prompt_tokens, sums.completion_tokens) == (5.0, 2.0)
        assert support.grades["quality"]["stars"].mean == 4.5
        assert support.grades["quality"]["stars"].interval is not None
        assert sums.grades["quality"]["stars"].mean == 1.5
        always = support.grades["quality"]["ok"]
        assert always.mean == 1 and always.interval is not None
        assert 0.4 < always.interval.low < 0.7 and always.interval.high == 1
        assert len(support.completion_ids) == 5
        for wrong in ({"limit": 5_001}, {"limit": 0}, {"filter": "tagg = x"}):
            with pytest.raises(Refused):
                client.prompts.list(**wrong)
    shown = run("prompts", "list", "--filter", "tag = prompted", "--pretty", server=server)
    assert "stars 4.50 (6)" in shown.output and "9 calls, 1 of them without" in shown.errors
    lines = run("prompts", "list", "--filter", "tag = prompted", server=server).lines
    assert [each["calls"] for each in lines] == [6, 2]
