"""One record on a terminal: fixes, attempts, feedback, tokens and raw bytes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import RunningServer, create_completions, plain, run, show
from tests.cli.upstream import open_upstream
from tests.processes import run_server


def ask(server: RunningServer, model: str, **members: Any) -> str:
    """Get a whole answer. Returns the id of its record."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **members}
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {server.api_key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            id = answer.headers["x-briggs-completion-id"]
    except urllib.error.HTTPError as error:
        id = error.headers["x-briggs-completion-id"]
    assert isinstance(id, str)
    return id


def pretty(server: RunningServer, id: str, *options: str) -> str:
    """The output of `get --pretty` in a pipe."""
    done = run("completions", "get", id, "--pretty", *options, server=server, COLUMNS="200")
    assert done.status == 0, done.errors
    return done.output


def test_what_was_mended_is_said_in_words(server: RunningServer) -> None:
    """A fix is shown with its path, the value that came, the new value, and the reason."""
    shown = pretty(server, ask(server, "mine/mends"))
    assert 'choices[0].finish_reason came as "end_turn" and became "stop" (C3).' in shown
    assert "choices[0].message.refusal was missing and became null (E5)." in shown
    assert "C3: `finish_reason` is stop, length" in shown


def test_what_was_cut_in_many_places_is_not_missing(server: RunningServer) -> None:
    """A fix in all elements of a list has no single value, so the rule says what was done."""
    (id,) = create_completions(server, "x", logprobs=True)
    path = "choices[0].logprobs.content[*].top_logprobs"
    assert f"{path} was mended (L7). Cut to the number" in pretty(server, id)


def test_raw_is_what_came(server: RunningServer) -> None:
    """Raw bytes are unchanged in a pipe, and cannot steer a terminal."""
    whole = run("completions", "get", ask(server, "mine/mends"), "--raw", server=server).output
    assert json.loads(whole)["choices"][0]["finish_reason"] == "end_turn"
    (streamed,) = create_completions(server, "x")
    assert run("completions", "get", streamed, "--raw", server=server).output.endswith(
        "data: [DONE]\n\n"
    )
    (steers,) = create_completions(server, "x", model="mine/steers")
    _, shown = show("completions", "get", steers, "--raw", server=server)
    assert "\x1b[2J" not in shown


def test_nothing_came(server: RunningServer) -> None:
    """If the upstream sent nothing, `--raw` is an error on one line."""
    id = ask(server, "nobody/knows")
    done = run("completions", "get", id, "--raw", server=server)
    assert (done.status, done.output) == (1, "")
    assert len(done.errors.splitlines()) == 1


def test_every_attempt_is_shown_with_its_reason(tmp_path: Path) -> None:
    """A target that failed is shown before the one that answered."""
    with open_upstream() as upstream:
        config = (
            f'[providers.mine]\nbase_url = "{upstream}"\n'
            '[providers.away]\nbase_url = "http://127.0.0.1:9/v1"\n'
            '[models.either]\ntargets = ["away/x", "mine/echo"]\n'
        )
        with run_server(tmp_path / "data", config=config) as each:
            server = RunningServer(each.url, each.key, each.data)
            shown = pretty(server, ask(server, "either"))
    assert "away/x · no answer" in shown
    assert "failed: " in shown
    assert shown.index("away/x") < shown.index("mine/echo · answered 200")


def test_its_feedback_is_shown(server: RunningServer) -> None:
    """A completion is shown with its feedback."""
    (id,) = create_completions(server, "grade me")
    schema = '{"type": "object", "properties": {"good": {"type": "boolean"}}}'
    task = ["--name=shown-with-it", "--task-schema", schema]
    assert run("feedback-task", "create", *task, server=server).status == 0
    given = run(
        *("feedback", "create", "--task=shown-with-it", "--values", '{"good": true}'),
        *("--completion", id, "--comment", "well \x1b[2J said", "--reviewer", "ann"),
        server=server,
    )
    assert given.status == 0, given.errors
    shown = pretty(server, id)
    for said in ("shown-with-it", "ann", "good  true", "well ␛[2J said"):
        assert said in shown


def test_logprobs_have_numbers_and_alternatives(server: RunningServer) -> None:
    """Every token has its probability and alternatives, also without colour."""
    (id,) = create_completions(server, "x", logprobs=True, top_logprobs=1)
    shown = pretty(server, id, "--logprobs")
    row = next(line for line in shown.splitlines() if '"You"' in line)
    assert row.split() == ["1", '"You"', "99.9%", "-0.0010", '"or\\u001bso"', "1.8%"]
    assert "\x1b" not in shown
    coloured = show("completions", "get", id, "--logprobs", server=server, NO_COLOR="1")[1]
    assert "99.9%" in coloured


def test_json_and_pretty_are_chosen(server: RunningServer) -> None:
    """`--json` on a terminal cannot steer it, and is still the same JSON."""
    (id,) = create_completions(server, "a \u009b2J \u202e b", model="mine/steers")
    _, shown = show("completions", "get", id, "--json", server=server)
    assert json.loads(shown) == json.loads(run("completions", "get", id, server=server).output)
    assert not {"\x9b", "\u202e", "\x1b"} & set(shown)


@pytest.mark.parametrize("width", [30, 80, 200])
def test_chat_shows_what_was_recorded(server: RunningServer, width: int) -> None:
    """The times below an answer are the recorded ones."""
    status, shown = show(
        "chat", "x", "--model=mine/echo", f"--session=chat-{width}", server=server, width=width
    )
    assert status == 0
    (item,) = run("completions", "list", f"--session=chat-{width}", server=server).lines
    for name in ("duration_ms", "first_token_ms"):
        value = item["briggs"][name]
        figure = f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"
        assert figure in " ".join(plain(shown).split())
