"""Makes the calls of agents: each repeats the history of its session, with tools."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

WORDS = """
the of and to in is that for it as was with be by on not he this are or his from at which but
have an had they you were their one all we can her has there been if more when will would who
so no file read test error return value list path name call line import class function module
request response token server client message string number check result index table column
""".split()  # noqa: SIM905

LINES = (
    "    def {0}_{1}(self, {2}: str) -> {3} | None:",
    '        """{4} {5} the {0} of each {1} {6} {2}."""',
    "        if {0}.{1} is None and len({2}) > {7}:",
    '            raise ValueError(f"{5} {{{0}}} {6} {1}: {4} it")',
    "        for {0} in sorted({1}_{2}, key=lambda each: each.{3}):",
    "            {0}[{1}] = {2}.get({3!r}, {7})",
    "        return {0}_{1}({2}, {3}={7})",
    "",
    "    # {4} {5} {6} {0} {1}, {2} {3} {5} {6}.",
    "        {0} = [{1}.{2}({3}) for {1} in self._{0}]",
)
NAMES = ("read_file", "run_command", "edit_file")


class Agents:
    """Texts that are like those of agents that work on code, from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.system = "\n".join(f"{self._say(60).capitalize()}." for _ in range(12))
        self.tools = [self._create_tool(number) for number in range(14)]

    def call(self, turns: int) -> Iterator[tuple[bytes, bytes]]:
        """The requests and the responses of one session."""
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": self.system},
            {"role": "user", "content": f"{self._say(40).capitalize()}?"},
        ]
        for turn in range(turns):
            request = {
                "model": "openai/gpt-4o",
                "messages": messages,
                "tools": self.tools,
                "temperature": 0.2,
            }
            answer, result = self._act()
            yield _encode(request), _encode(self._respond(answer, turn=turn))
            # Client libraries send the answer again with their own order of members.
            again = {name: answer[name] for name in ("content", "role", "tool_calls")}
            [call] = answer["tool_calls"]
            messages += [again, {"role": "tool", "tool_call_id": call["id"], "content": result}]

    def _act(self) -> tuple[dict[str, Any], str]:
        """A message with a tool call, and the tool's result."""
        rng = self._rng
        name = rng.choices(NAMES, (5, 3, 2))[0]
        path = f"src/{rng.choice(WORDS)}/{rng.choice(WORDS)}_{rng.choice(WORDS)}.py"
        if name == "read_file":
            begin = rng.randrange(500)
            arguments: dict[str, Any] = {"path": path, "offset": begin, "limit": 40}
            lines = self._write(rng.randint(10, 60))
            result = "\n".join(f"{begin + at:6}\t{line}" for at, line in enumerate(lines))
        elif name == "run_command":
            arguments = {"command": f"grep -rn {rng.choice(WORDS)} src/{rng.choice(WORDS)}"}
            found = self._write(rng.randint(0, 30))
            result = "\n".join(f"{path}:{rng.randrange(900)}:{line}" for line in found)
        else:
            before = self._write(rng.randint(2, 12))
            after = [*before[:-1], *self._write(rng.randint(1, 12))]
            arguments = {"path": path, "old": "\n".join(before), "new": "\n".join(after)}
            result = f"{path} was edited."
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{rng.getrandbits(96):024x}", "type": "function", "function": function}
        said = f"{self._say(rng.randint(5, 60)).capitalize()}."
        message = {"role": "assistant", "content": said, "refusal": None, "tool_calls": [call]}
        return message, result

    def _respond(self, message: dict[str, Any], *, turn: int) -> dict[str, Any]:
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
        tokens = 4_000 + 500 * turn
        return {
            "id": f"chatcmpl-{self._rng.getrandbits(128):032x}",
            "object": "chat.completion",
            "created": 1_790_000_000 + 7 * turn,
            "model": "gpt-4o-2024-08-06",
            "choices": [choice],
            "usage": {
                "prompt_tokens": tokens,
                "completion_tokens": 120,
                "total_tokens": tokens + 120,
            },
        }

    def _create_tool(self, number: int) -> dict[str, Any]:
        rng = self._rng
        properties = {
            f"{rng.choice(WORDS)}_{at}": {
                "type": rng.choice(("string", "integer", "boolean")),
                "description": self._say(rng.randint(6, 30)),
            }
            for at in range(rng.randint(2, 6))
        }
        name = NAMES[number] if number < len(NAMES) else f"{rng.choice(WORDS)}_{number}"
        function = {
            "name": name,
            "description": self._say(rng.randint(30, 150)),
            "parameters": {"type": "object", "properties": properties, "required": []},
        }
        return {"type": "function", "function": function}

    def _say(self, words: int) -> str:
        return " ".join(self._rng.choices(WORDS, k=words))

    def _write(self, lines: int) -> Sequence[str]:
        """Lines that look like code."""
        rng = self._rng
        return [
            rng.choice(LINES).format(*rng.choices(WORDS, k=7), rng.randrange(1_000))
            for _ in range(lines)
        ]


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
