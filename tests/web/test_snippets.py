"""A recorded request can be sent again from a shell or a program."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from briggs.web.snippets import write_curl, write_javascript, write_python
from tests.types.strategies import json_values

URL = "http://127.0.0.1:4141"
HOSTILE = 'it\'s "a" $HOME `id` \\ \u202e \x1b[31m </script> \'\'\' """'
REQUEST = {
    "model": "openai/gpt-5",
    "messages": [{"role": "user", "content": HOSTILE}],
    "temperature": 0.2,
    "stream": True,
    "made_up": {"a": [1, None, True]},
}


def run_python(program: str) -> dict[str, Any]:
    """The arguments that a program gives to OpenAI's SDK."""
    given: dict[str, Any] = {}

    def create(**arguments: Any) -> list[Any]:
        given.update(arguments)
        return []

    client = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    code = program.replace("from openai import OpenAI\n", "").replace("print(completion)", "")
    names = {"OpenAI": lambda **_: client}
    exec(code.replace('os.environ["BRIGGS_API_KEY"]', "''"), names)
    return given


def test_the_command_sends_the_request() -> None:
    """A shell reads nothing of the request as its own."""
    shell = 'curl() { printf "%s" "${@: -1}"; }\n' + write_curl(REQUEST, url=URL)
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == REQUEST


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["model", "stop", "made_up"]), json_values()))
def test_the_python_program_sends_the_request(request: dict[str, Any]) -> None:
    """Known members are arguments, and the SDK passes the others on."""
    given = run_python(write_python(request, url=URL))
    extra = given.pop("extra_body", {})
    assert {**given, **extra} == request
    assert set(extra) <= {"made_up"}


def test_hostile_text_stays_text() -> None:
    """Quotes end nothing, and control characters are escapes."""
    assert run_python(write_python(REQUEST, url=URL))["messages"] == REQUEST["messages"]
    for program in (
        write_curl(REQUEST, url=URL),
        write_javascript(REQUEST, url=URL),
        write_python(REQUEST, url=URL),
    ):
        assert not {"\u202e", "\x1b"} & set(program)


def test_no_key_is_part_of_a_program() -> None:
    """The key comes from the environment."""
    for write in (write_curl, write_python, write_javascript):
        assert "BRIGGS_API_KEY" in write(REQUEST, url=URL)
    assert f'baseURL: "{URL}/v1"' in write_javascript(REQUEST, url=URL)
