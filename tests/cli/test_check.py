"""`briggs check`: its verdicts, its errors and its exit status."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from briggs.checker import PROBES, CheckReport, Result
from briggs.checker.servers import Software
from briggs.cli.terminal.verdicts import print_report
from briggs.rules import Finding
from tests.checker.model import create_chunks, create_response, write_stream
from tests.checker.plants import PLANTS, Plant
from tests.checker.server import answer_with
from tests.cli.running import RunningServer, plain, run, show
from tests.processes import Behaviour, Seen, Upstream

KEY = "sk-canary-51e2c9"
REQUEST = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}


def repeat_key(handler: Any, seen: Seen) -> None:
    """Answer with whatever was sent, the key among it."""
    said = seen.headers["authorization"]
    if "n" in seen.json:
        error = {"message": f"{said}\x1b[2J", "type": said, "param": said, "code": 400}
        handler.send_whole(400, json.dumps({"error": error}).encode(), {"content-type": said})
    else:
        handler.send_whole(200, json.dumps({"id": said, "object": said}).encode())


def refuse(status: int, message: str = "Not now.") -> Behaviour:
    """Answer nothing but an error."""
    error = {"message": message, "type": "server_error", "param": None, "code": None}
    body = json.dumps({"error": error}).encode()
    return lambda handler, seen: handler.send_whole(status, body)


def wait(handler: Any, seen: Seen) -> None:
    """Answer nothing at all, until the other side has had enough."""
    handler.rfile.read(1)
    handler.close_connection = True


def but_plain(behaviour: Behaviour) -> Behaviour:
    """Answer plain questions correctly, and all others with `behaviour`."""
    answer = answer_with(Plant())

    def behave(handler: Any, seen: Seen) -> None:
        is_plain = set(seen.json) == {"model", "messages", "max_completion_tokens"}
        (answer if is_plain else behaviour)(handler, seen)

    return behave


def break_off(handler: Any, seen: Seen) -> None:
    """End a stream in its middle."""
    handler.begin_stream()
    handler.write_piece(write_stream(create_chunks(seen.json))[:300])
    handler.close_connection = True


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """Endpoints of many kinds."""
    running = Upstream(
        {
            "sound": answer_with(Plant()),
            "E5": answer_with(PLANTS["E5"]),
            "J2": answer_with(PLANTS["J2"]),
            "repeats": repeat_key,
            "refuses": but_plain(refuse(400)),
            "busy": but_plain(refuse(503)),
            "slow": but_plain(wait),
            "breaks": but_plain(break_off),
            "denies": refuse(401, "Who are you?"),
            "away": refuse(503),
            "moved": refuse(307),
            "silent": wait,
        }
    )
    yield running
    running.close()


def url(upstream: Upstream, name: str) -> str:
    return f"http://127.0.0.1:{upstream.port}/{name}/v1"


def test_a_sound_endpoint_passes(upstream: Upstream) -> None:
    """Every probe is listed, and the exit status is 0; its only model needs no name."""
    done = run("check", url(upstream, "sound"))
    assert done.status == 0
    assert done.errors == ""
    assert f"{len(PROBES)} pass." in done.output
    assert all(probe.name in done.output for probe in PROBES)


def test_a_broken_rule_fails(upstream: Upstream) -> None:
    """The rule, where it is broken and what it says are shown, and the exit status is 1."""
    done = run("check", url(upstream, "E5"), "--model=m-1", "--only=plain", "--only=stream")
    assert done.status == 1
    assert "E5 error" in done.output
    assert "choices[0].message.refusal: It is missing." in done.output
    assert "1 pass, 1 fail." in done.output


def test_warnings_fail_if_strict(upstream: Upstream) -> None:
    """A warning is no failure, unless it is asked to be."""
    arguments = ["check", url(upstream, "J2"), "--only=plain"]
    assert run(*arguments).status == 0
    assert run(*arguments, "--strict").status == 1


def test_what_is_refused_is_unsupported(upstream: Upstream) -> None:
    """An endpoint that refuses a parameter by an error object breaks no rule."""
    done = run("check", url(upstream, "refuses"), "--only=n", "--strict")
    assert done.status == 0
    assert "unsupported" in done.output
    assert "it answered 400: Not now" in done.output


def test_an_endpoint_that_is_too_busy(upstream: Upstream) -> None:
    """A busy endpoint neither passes nor fails, unless the check is strict."""
    arguments = ["check", url(upstream, "busy"), "--only=n"]
    done = run(*arguments)
    assert done.status == 0
    assert "not run" in done.output
    assert "it answered 503: Not now" in done.output
    assert run(*arguments, "--strict").status == 1


def test_a_probe_that_takes_too_long(upstream: Upstream) -> None:
    """A slow answer costs its probe only: it neither passes nor fails, and the rest runs."""
    arguments = ["--only=n", "--only=plain", "--timeout=1"]
    done = run("check", url(upstream, "slow"), *arguments)
    assert done.status == 0
    assert "no whole answer came within 1 s" in " ".join(done.output.split())
    assert "1 pass, 1 not run." in done.output


def test_a_stream_that_breaks_off_fails(upstream: Upstream) -> None:
    """A connection that ends before the answer does is an error."""
    done = run("check", url(upstream, "breaks"), "--only=stream")
    assert done.status == 1
    assert "the answer broke off" in done.output


def test_a_key_is_never_shown(upstream: Upstream, tmp_path: Path) -> None:
    """An endpoint that repeats the key it was sent cannot bring it into any output."""
    arguments = ["check", url(upstream, "repeats"), "--model=m-1", "--key-variable=MY_KEY"]
    junit = tmp_path / "check.xml"
    formats = [[], ["--json"], ["--markdown"], ["--junit=-"], [f"--junit={junit}"]]
    for options in formats:
        done = run(*arguments, *options, MY_KEY=KEY)
        assert done.status == 1
        assert "[key]" in done.output
        assert KEY not in done.output + done.errors
    assert KEY not in junit.read_text()


def test_an_endpoint_cannot_steer_the_terminal(upstream: Upstream, server: RunningServer) -> None:
    """Control characters of an answer are shown as pictures; progress is shown beside it."""
    arguments = ["check", url(upstream, "repeats"), "--model=m-1", "--only=n"]
    status, shown = show(*arguments, "--key-variable=MY_KEY", server=server, MY_KEY=KEY)
    assert status == 1
    assert "\x1b[2J" not in shown.replace("\x1b[2K", "")
    assert "100%" in plain(shown)


def test_json_has_every_finding(upstream: Upstream) -> None:
    """`--json` is one object, its findings with rule, path, message and excerpt."""
    done = run("check", url(upstream, "J2"), "--only=plain", "--json")
    [result] = json.loads(done.output)["results"]
    assert (result["probe"], result["verdict"]) == ("plain", "warn")
    [finding] = result["findings"]
    assert finding["rule"] == "J2"
    assert finding.keys() == {"rule", "severity", "path", "message", "excerpt"}


def test_junit_is_xml(upstream: Upstream, tmp_path: Path) -> None:
    """`--junit` writes a test case a probe, in a file beside the table or alone to a pipe."""
    path = tmp_path / "check.xml"
    arguments = ["check", url(upstream, "E5"), "--only=plain", "--only=stream"]
    assert "1 fail" in run(*arguments, f"--junit={path}").output
    for text in (path.read_text(), run(*arguments, "--junit=-").output):
        suite = ElementTree.fromstring(text)
        assert suite.attrib["failures"] == "1"
        assert [case.attrib["name"] for case in suite] == ["plain", "stream"]
        assert "choices[0].message.refusal" in (suite.findtext("testcase/failure") or "")


def test_markdown_is_a_page(upstream: Upstream) -> None:
    """`--markdown` has a table of the probes and a section for each broken rule."""
    output = run("check", url(upstream, "E5"), "--only=plain", "--markdown").output
    assert "| plain | fail | E5 |" in output
    assert "## E5: Everything that the specification requires is there." in output


def test_nobody_there(upstream: Upstream) -> None:
    """Where nobody listens there is one line and the exit status 2."""
    done = run("check", "http://127.0.0.1:1/v1", "--model=m")
    assert done.status == 2
    assert done.errors.startswith("Error: nothing answers at http://127.0.0.1:1/v1: ")
    assert len(done.errors.splitlines()) == 1


def test_a_key_that_is_not_taken(upstream: Upstream) -> None:
    """401 says where the key came from, or how one is given, and not the key."""
    arguments = ["check", url(upstream, "denies"), "--model=m"]
    done = run(*arguments, "--key-variable=MY_KEY", MY_KEY=KEY)
    assert done.status == 2
    assert done.errors == "Error: it answered 401: Who are you?: check MY_KEY\n"
    assert "--key-variable NAME" in run(*arguments).errors


def test_our_key_goes_nowhere_else(upstream: Upstream, server: RunningServer) -> None:
    """The key of the data folder is not sent to another server of this machine."""
    upstream.seen.clear()
    run("check", url(upstream, "sound"), "--only=plain", server=server)
    assert all("authorization" not in seen.headers for seen in upstream.seen)
    done = run("check", f"{server.url}/v1", "--model=mine/echo", "--only=plain", server=server)
    assert "mine/echo" in done.output


def test_an_endpoint_that_answers_nothing(upstream: Upstream) -> None:
    """If the first request is refused, no other probe is sent."""
    done = run("check", url(upstream, "away"), "--model=m-1")
    assert done.status == 2
    assert "it answered 503: Not now. No other probe is sent" in done.errors


def test_an_endpoint_that_redirects(upstream: Upstream) -> None:
    """The error says that the redirect's target can be checked."""
    done = run("check", url(upstream, "moved"), "--model=m-1")
    assert done.status == 2
    assert done.errors.endswith("Redirects are not followed: check the URL that it leads to\n")


def test_no_such_model(upstream: Upstream) -> None:
    """A model that is not there is answered with those that are."""
    done = run("check", url(upstream, "sound"), "--model=gpt-9")
    assert done.status == 2
    assert done.errors.endswith("--model takes one of m-1\n")


def test_a_model_has_to_be_named(server: RunningServer) -> None:
    """Where there are several models, none is chosen."""
    done = run("check", f"{server.url}/v1", server=server)
    assert done.status == 2
    assert "choose the model to check: --model takes one of " in done.errors


def test_a_first_answer_that_takes_too_long(upstream: Upstream) -> None:
    """Who is slow from the beginning is told from who speaks no HTTP."""
    done = run("check", url(upstream, "silent"), "--model=m", "--timeout=0.1")
    assert done.status == 2
    assert "is too slow: " in done.errors


def test_not_http() -> None:
    """What does not speak HTTP is told so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        done = run("check", f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "--model=m")
        thread.join()
    assert done.status == 2
    assert "does not speak HTTP" in done.errors
    assert len(done.errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["http://127.0.0.1:1/v1", "--only=nonsense"], "there is no probe nonsense"),
        (["http://127.0.0.1:1/v1", "--key-variable=NO_SUCH"], "NO_SUCH is not set"),
        (["localhost:8080/v1"], "is not an address"),
        (["http://me:secret@127.0.0.1:1/v1"], "--key-variable"),
        (["--request=pyproject.toml"], "--request belongs to --file"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    """What cannot be meant is a usage error, and nobody is asked."""
    done = run("check", *arguments)
    assert done.status == 2
    assert said in done.errors


def test_the_running_server_is_the_default(server: RunningServer) -> None:
    """Without URL it is the server of this machine, with its key."""
    done = run("check", "--model=mine/echo", "--only=plain", server=server)
    assert f"{server.url}/v1 · mine/echo" in done.output


def test_probes_through_briggs_are_tagged(server: RunningServer) -> None:
    """Every probe is on record with the tag `briggs-check`, and can be told apart by it."""
    run("check", "--model=mine/echo", "--only=plain", "--only=stream", server=server)
    tag = ["--status=any", "--model=mine/echo"]
    probes = run("completions", "list", *tag, "--tag=briggs-check", server=server).lines
    assert len(probes) >= 2
    others = run("completions", "list", *tag, "--without-tag=briggs-check", server=server).lines
    assert not {line["id"] for line in probes} & {line["id"] for line in others}
    [figures] = run("stats", "--tag=briggs-check", "--by=tag", server=server).lines
    assert figures["total"]["completions"] >= len(probes)
    [rest] = run("stats", "--without-tag=briggs-check", "--by=tag", server=server).lines
    assert "briggs-check" not in {group["key"] for group in rest["groups"]}


def test_the_whole_check_has_a_limit(upstream: Upstream) -> None:
    """`--total-timeout` ends a check in time, and says what was not run."""
    arguments = ["--only=n", "--only=stop", "--only=plain", "--total-timeout=1"]
    done = run("check", url(upstream, "slow"), *arguments)
    assert done.status == 0
    assert "1 pass, 2 not run." in done.output


def test_what_is_wrong_has_a_cause(upstream: Upstream) -> None:
    """Each cause says whether clients break, and what Briggs does with it."""
    done = run("check", url(upstream, "E5"), "--only=plain", "--only=n")
    assert "E5 error  cosmetic  Everything that the specification requires is there." in done.output
    assert "Briggs  A missing member becomes null if it may be null." in done.output
    assert "2 fail. 1 cosmetic." in done.output


def test_advice_that_was_given_names_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The same advice is written once; each later cause names the rule that has it."""
    found = [
        Finding(rule, "error", path="model", message="It is missing.", excerpt="")
        for rule in ("E4", "E5", "S8")
    ]
    result = Result(probe="unknown-model", title="", verdict="fail", findings=found)
    server = Software(name="llama.cpp", evidence="header server is llama.cpp")
    print_report(CheckReport(subject="m", server=server, results=[result]))
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    advice = [" ".join(words[1:]) for words in said if words[:1] == ["advice"]]
    assert sum(each.startswith("Briggs knows of no setting of llama.cpp") for each in advice) == 1
    assert [each for each in advice if each.startswith("as for ")] == ["as for E5"]
    assert any("--alias" in each for each in advice)


def test_a_kept_answer(tmp_path: Path) -> None:
    """A response is judged by itself, and by more rules with its request."""
    response, request = tmp_path / "response.json", tmp_path / "request.json"
    response.write_text(json.dumps(create_response(REQUEST)))
    request.write_text(json.dumps({**REQUEST, "n": 2}))
    assert run("check", f"--file={response}").status == 0
    done = run("check", f"--file={response}", f"--request={request}")
    assert done.status == 1
    assert "C1 error" in done.output


def test_a_kept_stream_or_error(tmp_path: Path) -> None:
    """Events are known by their name or their beginning, an error by its member."""
    stream = tmp_path / "stream.sse"
    stream.write_bytes(write_stream(create_chunks(REQUEST)).replace(b"data: [DONE]\n\n", b""))
    assert "S3 error" in run("check", f"--file={stream}").output
    assert "S3 error" in run("check", "--file=-", input=stream.read_text()).output
    assert "H2 error" in run("check", "--file=-", input='{"error": "no"}').output


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """A file without an end, or of gigabytes, is refused by its size."""
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(50_000_000_000)
    for name in (str(large), "/dev/zero"):
        done = run("check", f"--file={name}")
        assert done.status == 2
        assert "is too large" in done.errors
