"""Log10's prompt analysis, in the order in which its client asks."""

from __future__ import annotations

import json

import pytest

from tests.processes import Server

PATH = "/api/experimental/autoprompt"
FIRST = "You are a clerk. Answer {question} in one sentence."
SECOND = f"{FIRST} Answer in JSON. For example: {{}}. Never guess."


def test_the_clients_session(log10: Server) -> None:
    """A second prompt is compared with the first, although the client sends it twice."""
    begun = log10.send("POST", f"{PATH}/convert", {"prompt": FIRST}).json
    output = begun["output"]
    assert output["placeholders"] == ["{question}"] and output["words"] == 9
    assert output["parts"] == ["Role", "DataPlaceholders", "QuantityInstruction"]
    asked = {"base_prompt": json.dumps(output), "report": "[{}]"}
    found = log10.send("POST", f"{PATH}/suggestions", asked).json["output"]
    colours = {name: said["color"] for part in found.values() for name, said in part.items()}
    assert colours["Role"] == "green" and colours["ExampleDemonstration"] == "red"
    assert all(said["recommendation"] for part in found.values() for said in part.values())
    body = {"prompt": SECOND, "session_id": begun["session_id"]}
    again = log10.send("POST", f"{PATH}/convert", body).json
    assert again["session_id"] == begun["session_id"]
    new = json.dumps(again["output"])
    report = {"base_prompt": new, "new_prompt": new, "suggestions": json.dumps(found)}
    report["session_id"] = begun["session_id"]
    changed = log10.send("POST", f"{PATH}/report", report).json["output"]
    assert changed["words"] == {"before": 9, "after": 17}
    assert changed["added"] == ["Answer in JSON.", "For example: {}.", "Never guess."]
    assert changed["solved"] == ["ExampleDemonstration", "FormatInstruction", "Exclusion"]
    assert changed["removed"] == changed["lost"] == [] and changed["left"] == ["Inclusion"]


def test_messages_are_a_prompt(log10: Server) -> None:
    """A prompt may also be messages, as a list or as JSON in a text."""
    messages = [{"role": "system", "content": FIRST}, {"role": "user", "content": "Hi?"}]
    for prompt in (messages, json.dumps(messages)):
        found = log10.send("POST", f"{PATH}/convert", {"prompt": prompt}).json["output"]
        assert found["prompt"] == f"{FIRST}\nHi?"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("convert", {}, "prompt"),
        ("convert", {"prompt": " "}, "prompt"),
        ("convert", {"prompt": "x" * 200_001}, "prompt"),
        ("convert", {"prompt": {"a": 1}}, "prompt"),
        ("report", {"base_prompt": "x"}, "new_prompt"),
        ("suggestions", {"base_prompt": 5}, "base_prompt"),
    ],
)
def test_what_is_no_prompt(log10: Server, path: str, body: dict[str, object], param: str) -> None:
    """What is no prompt, or is too long, is refused by the member's name."""
    reply = log10.send("POST", f"{PATH}/{path}", body)
    assert (reply.status, reply.json["param"]) == (400, param)


def test_a_hostile_prompt_is_quick(log10: Server) -> None:
    """The longest prompt takes linear time."""
    for prompt in ("{{ a" * 50_000, "one " * 50_000, "<a" * 100_000, "." * 200_000):
        assert log10.send("POST", f"{PATH}/convert", {"prompt": prompt}).status == 200
