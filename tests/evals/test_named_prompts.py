"""Named prompts: which version a text has, and how versions are sorted, compared and merged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from briggs import Client, ClientError, NotFound, Refused
from briggs.evals.prompt_versions import DISTANCE_MAX, find_nearest, measure, read_template, unite
from briggs.evals.prompts import split_words, write_template
from briggs.types.prompts import PromptVersion
from tests.cli.running import RunningServer, open_server, run
from tests.processes import create_response
from tests.waiting import wait_for

CLERK = "You are a clerk of {1}. Answer in one sentence, and never guess a number."
POLITE = "You are a polite clerk of {}. Answer in one sentence, and never guess a number."
OTHER = "Add all numbers that you are given, and say the sum."


def create_version(text: str, number: int = 1) -> PromptVersion:
    return PromptVersion(
        organization_id="default",
        prompt_id="p",
        version=number,
        template=read_template(text),
        decided_by="person",
    )


@pytest.mark.parametrize(
    ("text", "distance", "template"),
    [
        ("You are a clerk of Acme and Sons. Answer in one sentence, and never guess a number.",
         0.0, CLERK),
        (POLITE.format("Zen."), 1 / 15, POLITE.format("{1}")),
        ("You are a clerk of Acme. Answer in two sentences, and never guess a number.", 4 / 16,
         "You are a clerk of {1} Answer in two sentences, and never guess a number."),
        ("You are a clerk of Acme. Answer in one sentence, and never guess. It is 2026-11-29.",
         7 / 18,
         "You are a clerk of {1} Answer in one sentence, and never guess. It is {2}"),
    ],
)  # fmt: skip
def test_distances(text: str, distance: float, template: str) -> None:
    """The distance is the share of words of one text alone; what a variable takes is free."""
    found = find_nearest(text, [create_version(CLERK)])
    assert found is not None
    assert found.distance == pytest.approx(distance)
    assert write_template(found.template)[0] == template.replace("{1}.", "{1}")
    # A text has the version that is made of it.
    assert measure(found.template, split_words(text))[0] == 0.0


def test_the_most_fixed_words_count() -> None:
    """Of versions that a text has, the one that says most of it is meant."""
    wide, narrow = create_version("You are {1}", 1), create_version("You are kind to {1}", 2)
    found = find_nearest("You are kind to Ann.", [narrow, wide])
    assert found is not None and (found.version, found.distance) == (narrow, 0.0)


def test_far_texts_and_hostile_ones() -> None:
    """A text with other words is no version, and long ones are compared in bounded time."""
    far = find_nearest(OTHER, [create_version(CLERK)])
    assert far is None or far.distance > DISTANCE_MAX
    words = [f"w{n % 97}" for n in range(2_000)]
    began = time.process_time()
    find_nearest(" ".join(words[::-1]), [create_version(" ".join(words), n) for n in range(50)])
    assert time.process_time() - began < 20


def test_unite() -> None:
    """What differs between two versions becomes a variable of both."""
    united = unite(read_template("a b c d"), read_template("a x c d"))
    assert write_template(united) == ("a {1} c d", 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("named")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, server.api_key) as client:
        yield client


def record(client: Client, system: str, words: int, tag: str = "x") -> str:
    response: Any = create_response()
    response["usage"] |= {"completion_tokens": words, "total_tokens": words + 5}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "q"}]
    made = client.completions.create({"model": "m", "messages": messages}, response, tags=[tag])
    return made.id


def wait(client: Client, filter: str, count: int) -> None:
    """Until the calls are sorted."""
    wait_for(lambda: client.completions.count(filter=filter).count == count)


def test_versions(server: RunningServer, client: Client) -> None:
    """A near text becomes the next version and says so; versions are compared, and merged."""
    fields = {"stars": {"type": "integer"}, "ok": {"type": "boolean"}}
    task = client.feedback_tasks.create("quality", {"type": "object", "properties": fields})
    ids = [record(client, CLERK.replace("{1}", f"firm {n}"), 20 + n % 3) for n in range(8)]
    record(client, OTHER, 3)
    [found, _] = client.prompts.list().data
    named = client.prompts.name("support", template=found.template)
    wait(client, "prompt = support", 8)
    late = [record(client, POLITE.format(f"firm {n}"), 40 + n % 3) for n in range(8)]
    for number, id in enumerate(ids + late):
        grade = {"stars": 2 + number % 2 + 2 * (id in late), "ok": id in late}
        client.feedback.create(task.id, grade, completion_ids=[id])
    # Naming something looks again at once; otherwise it is looked at every five seconds.
    client.prompts.name("sums", template=OTHER)
    wait(client, "prompt = 'support@2'", 8)
    wait(client, "prompt = none", 0)
    [_, version] = client.prompts.retrieve("support").versions
    assert (version.decided_by, version.of_version) == ("distance", 1)
    assert version.distance is not None and 0 < version.distance < 0.2
    assert version.template == POLITE.format("firm {1}").replace("{1}.", "{1}")
    compared = client.prompts.compare("support", [1, 2])
    assert [each.calls for each in compared.versions] == [8, 8]
    differences = {each.figure: each for each in compared.differences}
    assert differences["completion_tokens"].difference == pytest.approx(20)
    assert differences["completion_tokens"].is_clear
    assert differences["quality.stars"].difference == pytest.approx(2)
    assert not differences["prompt_tokens"].is_clear
    # Eight of eight do not mean that it is always so.
    share, ends = compared.versions[1].figures["quality.ok"], differences["quality.ok"].interval
    assert share.mean == 1 and share.interval is not None
    assert 0.5 < share.interval.low < 0.7 and share.interval.high == 1
    assert ends is not None and 0 < ends.low < 0.7 and ends.high == 1
    shown = run("prompts", "compare", "support", "--pretty", server=server).output
    assert "out: 2 against 1: 20 more (" in shown and "support@2" in shown
    listed = run("prompts", "named", "--pretty", server=server).output
    assert "support@2" in listed and "words of 1 differ" in listed.replace("\n", " ")
    # A dataset of one version: the filter is the one of all lists.
    assert client.datasets.create_from_completions("v2", "prompt = 'support@2'").samples == 8
    assert client.completions.delete(late[0]).deleted
    assert client.completions.count(filter="prompt = 'support@2'").count == 7
    merged = run("prompts", "merge", "support", "2", "1", server=server).lines[0]
    assert [each["version"] for each in merged["versions"]] == [1]
    assert merged["versions"][0]["template"].startswith("You are a {1} clerk of")
    assert client.completions.count(filter="prompt = 'support@1'").count == 15
    with pytest.raises(Refused, match="already"):
        client.prompts.name("again", template=merged["versions"][0]["template"])
    assert run("prompts", "delete", "support", "--yes", server=server).status == 0
    assert client.completions.count(filter="prompt = support").count == 0
    assert named.id not in {each.id for each in client.prompts.list_named()}


def test_a_call_names_a_prompt(server: RunningServer, client: Client) -> None:
    """The text of a call is the next version because somebody says so, however far it is."""
    id = record(client, "Speak like a pirate, always.", 5, "pirate")
    done = run("prompts", "name", "voice", id, server=server)
    assert done.lines[0]["versions"][0]["template"] == "Speak like a pirate, always."
    wait(client, "prompt = voice", 1)
    second = record(client, "Whisper.", 5, "pirate")
    assert len(client.prompts.name("voice", completion_id=second).versions) == 2
    wait(client, "prompt = 'voice@2'", 1)


@pytest.mark.parametrize(
    ("post", "error", "said"),
    [
        ({"name": "a b", "template": "x"}, Refused, "letters, digits"),
        ({"name": "a"}, Refused, "either 'template' or"),
        ({"name": "a", "template": "{1} 2026-11-29"}, Refused, "no fixed words"),
        ({"name": "a", "template": " "}, Refused, "no text"),
        ({"name": "a", "template": "x" * 200_001}, Refused, "more than 200,000"),
        ({"name": "a", "completion_id": "nothing"}, NotFound, "no completion"),
    ],
)  # fmt: skip
def test_wrong_names(
    client: Client, post: dict[str, Any], error: type[ClientError], said: str
) -> None:
    """What cannot be a named prompt is refused with a sentence."""
    with pytest.raises(error, match=said):
        client.prompts.name(**post)


def test_wrong_versions(client: Client) -> None:
    """Versions that are not there are named, and wrong numbers are refused."""
    client.prompts.name("one", template="Only one version of this.")
    for act, error in (
        (lambda: client.prompts.compare("one", [7]), NotFound),
        (lambda: client.prompts.compare("nothing"), NotFound),
        (lambda: client.prompts.merge("one", 2, into=1), NotFound),
        (lambda: client.prompts.merge("one", 1, into=1), Refused),
        (lambda: client.prompts.compare("one", [*range(1, 30)]), Refused),
    ):
        with pytest.raises(error):
            act()
