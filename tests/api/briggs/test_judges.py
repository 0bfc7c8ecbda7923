"""Judges over HTTP, through a real server and a model that grades as the tests say."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from briggs.types.completions import DRIFT_TAG, OWN_TAGS
from tests.api.briggs.test_feedback import TASKS, ask, create_key, create_task, grade
from tests.judges import upstream as models
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.waiting import PATIENCE_S, wait_for
from tests.web.visitor import Visitor

JUDGES = "/api/v1/judges"
SCHEMA = {
    "type": "object",
    "required": ["stars"],
    "properties": {"stars": {"type": "integer", "minimum": 1, "maximum": 5}},
}
BEHAVIOURS = {
    "judge": models.surely,
    "varying": models.varying,
    "plain": models.without_logprobs,
    "formless": models.without_formats,
    "torn": models.torn(),
    "unsure": models.unsure,
    "near-sighted": models.near_sighted,
    "blind": models.blind,
    "cut": models.ending("length"),
    "filtered": models.ending("content_filter"),
    "refusing": models.ending("stop", content=None, refusal="No."),
    "babbling": models.saying("five stars!"),
    "broken": lambda handler, seen: handler.send_whole(500, b"{}"),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(BEHAVIOURS)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = upstream.config() + models.PRICES
    with run_server(tmp_path_factory.mktemp("judges") / "data", config=config) as server:
        yield server


def record(server: Server, tag: str, stars: int, text: str = "", tags: Sequence[str] = ()) -> str:
    """A completion whose answer says how many stars it deserves."""
    body = {
        "organization_id": "default",
        "kind": "chat",
        "status": "finished",
        "tags": [tag, *tags],
        "request": {"model": "m", "messages": [{"role": "user", "content": "Tell me."}]},
        "response": create_response(f"stars {stars} {text}"),
    }
    id: str = ask(server, "POST", "/api/v1/completions", body)["id"]
    return id


def create(server: Server, tag: str, provider: str = "judge", **members: Any) -> dict[str, Any]:
    """A judge of a new task that selects the tag."""
    schema = members.pop("json_schema", SCHEMA)
    task = create_task(server, tag, name=f"task-{tag}", json_schema=schema)
    body = {"task": task["id"], "model": f"{provider}/m-1", "name": f"judge-{tag}", **members}
    made: dict[str, Any] = ask(server, "POST", JUDGES, body)
    return made


def judge(server: Server, judge: dict[str, Any], id: str, **members: Any) -> dict[str, Any]:
    path = f"{JUDGES}/{judge['id']}/judgements"
    said: dict[str, Any] = ask(server, "POST", path, {"completion_id": id, **members})
    return said


def run(server: Server, judge: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A run, waited for."""
    begun = ask(server, "POST", f"{JUDGES}/{judge['id']}/runs", members)
    return wait(server, judge, begun["id"])


def wait(server: Server, judge: dict[str, Any], run_id: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        found: dict[str, Any] = ask(server, "GET", f"{JUDGES}/{judge['id']}/runs/{run_id}")
        return found if found["status"] != "running" else None

    return wait_for(find) or {}


def wait_for_trust(server: Server, judge: dict[str, Any]) -> Any:
    """The sentences about a judge, which are measured after a run, or when somebody looks."""

    def find() -> Any:
        found = ask(server, "GET", f"{JUDGES}/{judge['id']}")["trust"]
        return found if found and found[0]["verdict"] != "not_judged" else None

    return wait_for(find)


def count_asked(upstream: Upstream, provider: str) -> int:
    return sum(seen.path.startswith(f"/{provider}/") for seen in upstream.seen)


def test_a_judgement_is_a_recorded_call_and_feedback(server: Server, upstream: Upstream) -> None:
    """The call is a completion with the tag `judge` and a cost; the feedback is a model's."""
    id = record(server, "recorded", 4)
    made = create(server, "recorded")
    said = judge(server, made, id)
    assert (said["status"], said["json_values"], said["reason"]) == (
        *("finished", {"stars": 4}),
        "as it says",
    )
    assert said["scores"]["stars"] == pytest.approx((4 * 0.7 + 3 * 0.2) / 0.9)
    assert (said["mass"], said["cost_usd"]) == (pytest.approx(0.9), models.COST_USD)
    [call] = said["call_ids"]
    recorded = server.retrieve(call)["briggs"]
    assert recorded["tags"] == ["judge", "judge-recorded"]
    listed = ask(server, "GET", f"/api/v1/feedback?completion_id={id}")["data"]
    assert [(each["reviewer"], each["reviewer_kind"]) for each in listed] == [
        ("judge-recorded", "model")
    ]
    assert listed[0]["id"] == said["feedback_id"]
    before = count_asked(upstream, "judge")
    assert judge(server, made, id)["call_ids"] == [call]
    assert count_asked(upstream, "judge") == before


def test_the_queue_of_people_is_not_emptied(server: Server) -> None:
    """A judge's grade makes no review unnecessary, and nobody is asked about a judge's calls."""
    made = create(server, "queued")
    id = record(server, "queued", 2)
    judge(server, made, id)
    progress = ask(server, "GET", f"{TASKS}/{made['task_id']}/progress")
    assert (progress["matching"], progress["graded"], progress["left"]) == (1, 0, 1)
    every = create_task(server, name="all of them", json_schema=SCHEMA)
    listed = ask(server, "POST", f"{TASKS}/{every['id']}/next", {"order": "newest"})
    assert "judge" not in listed["completion"]["tags"]
    ask(server, "DELETE", f"{TASKS}/{every['id']}")


def test_examples_are_what_people_gave(server: Server, upstream: Upstream) -> None:
    """They are shown with their reasons and are on record; the completion itself is not shown."""
    made = create(server, "taught")
    assert made["examples"] == 0
    ids = [record(server, "taught", stars, f"text {stars}") for stars in (1, 3, 5)]
    task = {"id": made["task_id"]}
    for id, stars in zip(ids, (1, 3, 5), strict=True):
        grade(server, task, id, json_values={"stars": stars}, comment=f"why {stars}")
    made = ask(server, "POST", f"{JUDGES}/{made['id']}", {"learn": True})
    assert (made["version"], made["examples"]) == (2, 3)
    said = judge(server, made, ids[0])
    assert sorted(said["example_ids"]) == sorted(ids[1:])
    messages = upstream.seen[-1].json["messages"]
    answers = [json.loads(each["content"]) for each in messages if each["role"] == "assistant"]
    assert {"stars": 5, "reason": "why 5"} in answers and len(answers) == 2


def test_a_change_is_a_new_version(server: Server) -> None:
    """Versions are frozen; a new name or watch is none; the task cannot change."""
    made = create(server, "versions", examples_shown=2)
    path = f"{JUDGES}/{made['name']}"
    assert ask(server, "POST", path, {"name": "versions-2"})["version"] == 1
    path = f"{JUDGES}/versions-2"
    assert ask(server, "POST", path, {"model": "plain/m-1"})["version"] == 2
    assert ask(server, "POST", path, {"model": "plain/m-1"})["version"] == 2
    versions = ask(server, "GET", f"{path}/versions")["data"]
    assert [(each["version"], each["model"]) for each in versions] == [
        (1, "judge/m-1"),
        (2, "plain/m-1"),
    ]
    assert versions[1]["examples_shown"] == 2 and "MARK" in versions[0]["prompt"]
    [second] = ask(server, "GET", f"{path}/versions?limit=1&offset=1")["data"]
    assert second == versions[1]
    refused = server.send("POST", path, {"task": made["task_id"]})
    assert (refused.status, refused.json["param"]) == (400, "task")


def test_the_calls_of_briggs_are_not_judged(server: Server) -> None:
    """Those of judges, checks and watches are left out, unless the task selects their tag."""
    id = record(server, "own", 4)
    for tag in OWN_TAGS:
        record(server, "own", 4, tags=[tag])
    made = create(server, "own")
    done = run(server, made)
    assert (done["matching"], done["judged"]) == (1, 1)
    judged = ask(server, "GET", f"{JUDGES}/{made['id']}/judgements")["data"]
    assert [each["completion_id"] for each in judged] == [id]
    assert run(server, create(server, DRIFT_TAG))["judged"] == 1


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"task": "no such task"}, "task"),
        ({"model": ""}, "model"),
        ({"name": "a,b"}, "name"),
        ({"name": " a"}, "name"),
        ({"samples": 0}, "samples"),
        ({"examples_shown": 33}, "examples_shown"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"options": {"messages": []}}, "options"),
        ({"options": {"temperature": "warm"}}, "temperature"),
        ({"options": {"reasoning_effort": ["low"]}}, "reasoning_effort"),
        ({"model": " "}, "model"),
        ({"model": "judge/\x1b[31m"}, "model"),
        ({"model": "judge/\ud800"}, "model"),
        ({"watch": {"sample": 2}}, "watch.sample"),
        ({"watch": {"budget_usd": -1}}, "watch.budget_usd"),
    ],
)
def test_members_are_checked(server: Server, members: dict[str, Any], param: str) -> None:
    """The error names the wrong one."""
    tasks = ask(server, "GET", TASKS)
    task = tasks[0]["id"] if tasks else create_task(server, json_schema=SCHEMA)["id"]
    refused = server.send("POST", JUDGES, {"task": task, "model": "judge/m-1", **members})
    assert refused.status in (400, 404) and refused.json["param"] == param


def test_names_are_taken_once(server: Server) -> None:
    """Two judges of an organization cannot share a name until one is deleted."""
    made = create(server, "named")
    body = {"task": made["task_id"], "model": "judge/m-1", "name": made["name"]}
    assert server.send("POST", JUDGES, body).status == 409
    ask(server, "DELETE", f"{JUDGES}/{made['name']}")
    assert server.send("GET", f"{JUDGES}/{made['name']}").status == 404
    assert ask(server, "GET", f"{JUDGES}/{made['id']}")["archived_at"]
    assert server.send("POST", f"{JUDGES}/{made['id']}/runs", {}).status == 400
    assert ask(server, "POST", JUDGES, body)["id"] != made["id"]


@pytest.mark.parametrize(
    ("provider", "failure"),
    [
        ("unsure", "unsure"),
        ("cut", "cut_off"),
        ("filtered", "filtered"),
        ("refusing", "refused"),
        ("babbling", "unreadable"),
        ("broken", "unanswered"),
    ],
)
def test_what_fails_is_no_score(
    server: Server, upstream: Upstream, provider: str, failure: str
) -> None:
    """It is tried three times, has its reason, and no feedback. It can be tried again."""
    made = create(server, f"fails-{provider}", provider)
    id = record(server, f"fails-{provider}", 3)
    before = len(upstream.seen)
    said = judge(server, made, id)
    assert (said["status"], said["failure"], said["attempts"]) == ("failed", failure, 3)
    assert said["failure_reason"] and "json_values" not in said and said["scores"] == {}
    assert len(upstream.seen) - before >= 3
    assert ask(server, "GET", f"/api/v1/feedback?completion_id={id}")["total"] == 0
    asked = len(upstream.seen)
    assert judge(server, made, id)["failure"] == failure
    assert len(upstream.seen) == asked
    upstream.behaviours[provider], kept = models.surely, upstream.behaviours[provider]
    again = judge(server, made, id, again=True)
    upstream.behaviours[provider] = kept
    assert (again["status"], again["json_values"]) == ("finished", {"stars": 3})


def test_without_probabilities_it_is_asked_several_times(
    server: Server, upstream: Upstream
) -> None:
    """A provider that refuses logprobs is asked without them from then on."""
    made = create(server, "sampled", "plain", samples=2)
    said = judge(server, made, record(server, "sampled", 2))
    assert (said["probabilities"], said["mass"]) == ({"stars": [0, 1, 0, 0, 0]}, None)
    bodies = [seen.json for seen in upstream.seen if seen.path.startswith("/plain/")]
    assert ["logprobs" in body for body in bodies[-3:]] == [True, False, False]


def test_without_structured_output_it_is_asked_without(server: Server, upstream: Upstream) -> None:
    """A provider that refuses a format is asked without it, and keeps its probabilities."""
    made = create(server, "formless", "formless")
    said = judge(server, made, record(server, "formless", 4))
    assert said["status"] == "finished" and said["probabilities"]["stars"][3] > 0.5
    bodies = [seen.json for seen in upstream.seen if seen.path.startswith("/formless/")]
    assert "response_format" in bodies[0] and "response_format" not in bodies[-1]
    assert "logprobs" in bodies[-1]


def test_what_several_values_begin_with_is_asked_again(server: Server, upstream: Upstream) -> None:
    """Answers of both signs tell the probability of each value, and their mass is all of it."""
    stars = {"type": "integer", "minimum": -3, "maximum": 3}
    schema = {"type": "object", "required": ["stars"], "properties": {"stars": stars}}
    made = create(server, "torn", "torn", json_schema=schema)
    said = judge(server, made, record(server, "torn", 1))
    assert (said["mass"], len(said["call_ids"])) == (pytest.approx(1.0), 2)
    assert said["probabilities"]["stars"] == pytest.approx([0.2, 0.2, 0, 0, 0.4, 0.2, 0])
    assert said["scores"]["stars"] == pytest.approx(-0.2)


def test_what_is_too_long_is_asked_with_fewer_examples(server: Server, upstream: Upstream) -> None:
    """As many as the model can read; later questions begin there, and logprobs are kept."""
    made = create(server, "long", "near-sighted")
    for stars in (1, 2, 3, 5):
        id = record(server, "long", stars, "an example")
        grade(server, {"id": made["task_id"]}, id, json_values={"stars": stars})
    made = ask(server, "POST", f"{JUDGES}/{made['id']}", {"learn": True})
    said = judge(server, made, record(server, "long", 4, "text"))
    assert (said["status"], len(said["example_ids"])) == ("finished", 1)
    assert said["mass"] is not None
    for number in range(10):
        record(server, "long", 4, f"number {number}", tags=["more"])
    before = count_asked(upstream, "near-sighted")
    assert run(server, made, filter="tag = more")["judged"] == 10
    # Eight begin at once with all examples. The others know better.
    assert count_asked(upstream, "near-sighted") - before <= 8 * 3 + 2
    ask(server, "POST", f"{JUDGES}/{made['id']}", {"model": "blind/m-1"})
    failed = run(server, made, limit=2)
    assert (failed["status"], failed["failures"]) == ("finished", {"unanswered": 2})
    told = {"unanswered": "blind answered 400: It reads at most 9 tokens."}
    assert (failed["failure_examples"], failed["message"]) == (told, "")


def test_a_run_counts_what_it_lacks(server: Server, upstream: Upstream) -> None:
    """Equal texts are asked once; a second run asks nothing; failures are counted by reason."""
    for stars in (1, 2, 3, 3, 3):
        record(server, "counted", stars)
    made = create(server, "counted")
    before = count_asked(upstream, "judge")
    done = run(server, made)
    assert (done["status"], done["matching"], done["judged"]) == ("finished", 5, 5)
    assert (done["copied"], done["lacking"]) == (2, 0)
    assert count_asked(upstream, "judge") - before == 3
    assert done["cost_usd"] == pytest.approx(3 * models.COST_USD)
    again = run(server, made)
    assert (again["judged"], again["cost_usd"]) == (5, 0)
    assert count_asked(upstream, "judge") - before == 3
    ask(server, "POST", f"{JUDGES}/{made['id']}", {"model": "cut/m-1"})
    failed = run(server, made, filter="tag = counted", limit=2)
    assert (failed["matching"], failed["lacking"]) == (2, 2)
    assert failed["failures"] == {"cut_off": 2}
    assert failed["failure_examples"] == {"cut_off": "The answer was cut off: raise 'max_tokens'."}
    for report in ("trust", "estimates"):
        [told] = ask(server, "GET", f"{JUDGES}/{made['id']}/{report}")["failed"]
        assert (told["failure"], told["count"]) == ("cut_off", 2) and "cut off" in told["example"]
    listed = ask(server, "GET", f"{JUDGES}/{made['id']}/judgements?status=failed")["data"]
    assert len(listed) == 2 and {each["version"] for each in listed} == {2}
    listed = ask(server, "GET", f"{JUDGES}/{made['id']}/judgements?version=1&limit=3")["data"]
    assert len(listed) == 3
    runs = ask(server, "GET", f"{JUDGES}/{made['id']}/runs")["data"]
    assert [each["id"] for each in runs] == [failed["id"], again["id"], done["id"]]


def test_a_run_keeps_its_budget(server: Server, upstream: Upstream) -> None:
    """It stops before a judgement might cost more than there is, and says so."""
    for number in range(30):
        record(server, "budget", 1 + number % 5, f"number {number}")
    made = create(server, "budget")
    done = run(server, made, budget_usd=0.1)
    assert done["status"] == "stopped" and "$0.10 is used" in done["message"]
    assert 0.05 <= done["cost_usd"] <= 0.1001 and done["lacking"] == 30 - done["judged"]
    ask(server, "POST", f"{JUDGES}/{made['id']}", {"model": "plain/m-1", "samples": 1})
    unpriced = run(server, made, budget_usd=1)
    assert unpriced["judged"] == 1, "only one goes out before a price is known"
    assert (
        unpriced["status"] == "stopped" and "price of plain/m-1 is not known" in unpriced["message"]
    )


def test_a_model_that_is_not_there_ends_a_run(server: Server) -> None:
    """Asking about more completions would not help."""
    record(server, "gone", 1)
    made = create(server, "gone", "local")
    done = run(server, made)
    assert done["status"] == "failed" and "m-1" in done["message"]


def test_wrong_runs_are_refused(server: Server) -> None:
    """A filter, a limit and a budget are checked before anything begins."""
    made = create(server, "wrong")
    for body, param in (
        ({"filter": "tag ="}, "filter"),
        ({"limit": 0}, "limit"),
        ({"budget_usd": 0}, "budget_usd"),
    ):
        refused = server.send("POST", f"{JUDGES}/{made['id']}/runs", body)
        assert (refused.status, refused.json["param"]) == (400, param)
    assert server.send("GET", f"{JUDGES}/{made['id']}/runs/none").status == 404


def test_judges_belong_to_their_organization(server: Server) -> None:
    """Another organization sees none of it, and a key that reads cannot spend."""
    made = create(server, "ours")
    other = ask(server, "POST", "/api/v1/organizations", {"slug": "judged", "name": "J"})
    key = other["key"]["value"]
    assert ask(server, "GET", JUDGES, key=key)["data"] == []
    assert server.send("GET", f"{JUDGES}/{made['id']}", key=key).status == 404
    reader = create_key(server, "reads judges", "read")
    assert server.send("GET", f"{JUDGES}/{made['id']}", key=reader).status == 200
    for path in ("", "/runs", "/judgements"):
        refused = server.send("POST", f"{JUDGES}/{made['id']}{path}", {}, key=reader)
        assert refused.status == 403


def test_a_deleted_completion_takes_its_judgement_along(server: Server) -> None:
    """Nothing of what was said about it stays, and it is an example no more."""
    made = create(server, "deleted")
    ids = [record(server, "deleted", stars) for stars in (1, 5)]
    grade(server, {"id": made["task_id"]}, ids[0], json_values={"stars": 1})
    ask(server, "POST", f"{JUDGES}/{made['id']}", {"learn": True})
    judge(server, made, ids[0])
    server.send("DELETE", f"/v1/chat/completions/{ids[0]}")
    assert ask(server, "GET", f"{JUDGES}/{made['id']}/judgements")["data"] == []
    assert judge(server, made, ids[1])["example_ids"] == []


def test_it_grades_by_itself(server: Server, upstream: Upstream) -> None:
    """What matches is graded as it comes, without being asked for."""
    made = create(server, "watched", watch={"filter": "tag = watched"})
    assert made["watch"] == {"filter": "tag = watched", "sample": 1.0, "budget_usd": None}
    id = record(server, "watched", 5)
    said = wait_for(lambda: ask(server, "GET", f"{JUDGES}/{made['id']}/judgements")["data"])
    assert said[0]["completion_id"] == id
    assert ask(server, "POST", f"{JUDGES}/{made['id']}", {"watch": None})["watch"] is None


def test_it_keeps_the_budget_of_a_day(server: Server) -> None:
    """It judges no more if one might cost more than is left, or if what one costs is not known."""

    def list_costs(judge: dict[str, Any]) -> list[float | None]:
        path = f"{JUDGES}/{judge['id']}/judgements"
        return [each["cost_usd"] for each in ask(server, "GET", path)["data"]]

    budget_usd = 4.5 * models.COST_USD
    kept, unpriced, free = (
        create(server, tag, provider, watch={"filter": "tag = daily", "budget_usd": budget})
        for tag, provider, budget in [
            ("kept", "judge", budget_usd),
            ("unpriced", "plain", 1.0),
            ("free", "judge", None),
        ]
    )
    for number in range(12):
        record(server, "daily", 1 + number % 5, f"number {number}", ["kept", "unpriced", "free"])
    # Judges look one after the other, in the order in which they were made.
    wait_for(lambda: len(list_costs(free)) == 12)
    assert list_costs(kept) == [models.COST_USD] * 4
    assert list_costs(unpriced) == [None]
    for each in (kept, unpriced, free):
        ask(server, "POST", f"{JUDGES}/{each['id']}", {"watch": None})


def test_a_run_that_was_killed_asks_nothing_twice(tmp_path: Path) -> None:
    """After kill -9 it goes on by itself; only what was being answered is asked again."""
    gate, asked = threading.Event(), threading.Event()

    def slowly(handler: Any, seen: Seen) -> None:
        if models.read_subject(seen)["answered"].endswith("number 7"):
            asked.set()
            gate.wait(PATIENCE_S)
        models.surely(handler, seen)

    upstream = Upstream({"judge": slowly})
    config = upstream.config() + models.PRICES
    try:
        with run_server(tmp_path / "data", config=config) as server:
            for number in range(24):
                record(server, "killed", 1 + number % 5, f"number {number}")
            made = create(server, "killed")
            begun = ask(server, "POST", f"{JUDGES}/{made['id']}/runs", {})
            assert asked.wait(PATIENCE_S)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        gate.set()
        with run_server(tmp_path / "data", config=config) as server:
            done = wait(server, made, begun["id"])
    finally:
        gate.set()
        upstream.close()
    assert (done["status"], done["judged"]) == ("finished", 24)
    subjects = [models.read_subject(seen)["answered"] for seen in upstream.seen]
    repeated = {each for each in subjects if subjects.count(each) > 1}
    # At most those that were in flight, of which no answer came.
    assert len(set(subjects)) == 24 and len(repeated) <= 8
    assert len(subjects) <= 24 + 8


def test_trust_is_beside_what_people_agree_on(server: Server) -> None:
    """The judge is compared with people on what both graded; what it lacks is counted."""
    made = create(server, "trusted")
    task = {"id": made["task_id"]}
    for number in range(24):
        id = record(server, "trusted", 1 + number % 5, f"number {number}")
        for reviewer in ("ann", "ben"):
            stars = 1 + (number + (reviewer == "ben" and number % 6 == 0)) % 5
            values = {"stars": stars}
            grade(server, task, id, json_values=values, reviewer=reviewer, reviewer_kind="person")
    path = f"{JUDGES}/{made['id']}/trust"
    before = ask(server, "GET", path)
    assert (before["lacking"], before["graded"]) == (24, 0)
    assert before["fields"][0]["verdict"] == "not_judged"
    assert "none of the 24 completions that people" in before["fields"][0]["sentence"]
    run(server, made)
    [field] = ask(server, "GET", path)["fields"]
    assert (field["name"], field["graded"], field["shared"]) == ("stars", 24, 24)
    assert field["verdict"] == "as_good" and field["sentence"].startswith("As good as a second")
    told = {"fields": ["stars"], "verdict": "as_good", "sentence": field["sentence"]}
    assert wait_for_trust(server, made) == [told]
    [listed] = [
        each
        for each in ask(server, "GET", f"{JUDGES}?limit=100")["data"]
        if each["id"] == made["id"]
    ]
    assert listed["trust"] == [told]
    alpha = field["people"]["alpha"]
    assert alpha["interval"]["low"] < alpha["value"] < alpha["interval"]["high"]
    assert field["judge"]["error"]["value"] < field["people"]["error"]["value"] + 0.1
    means = ask(server, "GET", f"{JUDGES}/{made['id']}/estimates")
    assert (means["lacking"], means["judged"], means["graded"]) == (0, 24, 24)
    [found] = means["fields"]
    assert list(found["by_tag"]) == ["trusted"] and found["option"] is None
    both = found["all"]["both"]
    assert both["interval"]["low"] < both["mean"] < both["interval"]["high"]
    page = Visitor(server).visit(f"/judges/{made['id']}").body.decode()
    table = page.partition("The plot as a table")[2].partition("</table>")[0]
    points = field["calibration"]["before"] + field["calibration"]["after"]
    assert table.count('<th scope="row">') == len(points) > 0
    assert ask(server, "GET", f"{path}?version=1")["version"] == 1
    assert server.send("GET", f"{path}?version=2").status == 404
    assert server.send("GET", f"{path}?version=x").status == 400
    for query in ("limit=5", "suggested=yes"):
        assert server.send("GET", f"{path}?{query}").status == 400, query


def suggest(server: Server, tag: str, stars: Sequence[int], **members: Any) -> dict[str, Any]:
    """A task whose judge has judged and suggests, with `judge` and the completions' `ids`."""
    ids = [record(server, tag, each, f"number {place}") for place, each in enumerate(stars)]
    made = create(server, tag)
    run(server, made)
    change = {"suggesting_judge": made["name"], **members}
    task = ask(server, "POST", f"{TASKS}/{made['task_id']}", change)
    assert (task["suggesting_judge"], task["suggesting_version"]) == (made["id"], 0)
    return {**task, "judge": made, "ids": ids}


def reply(offer: dict[str, Any], *, taken: bool) -> dict[str, Any]:
    return {"judge_id": offer["judge_id"], "version": offer["version"], "taken": taken}


def test_suggestions_are_counted_apart_from_grades(server: Server) -> None:
    """They are accepted, edited and rejected; grades that saw one are in no agreement at first."""
    task = suggest(server, "suggested", [4, 4, 4], blind=False)
    id = task["id"]
    for stars, taken, outcome in ((4, True, "accepted"), (5, True, "edited"), (1, False, "")):
        found = ask(server, "POST", f"{TASKS}/{id}/next", {"reviewer": "ann"})
        offer = found["suggestion"]
        assert (offer["json_values"], offer["judge"]) == ({"stars": 4}, task["judge"]["name"])
        assert not found["feedback"], "the judge's own grade is shown as its suggestion only"
        given = grade(
            server,
            task,
            found["completion"]["id"],
            json_values={"stars": stars},
            reviewer="ann",
            reviewer_kind="person",
            suggestion=reply(offer, taken=taken),
        )
        assert given["suggestion"]["outcome"] == (outcome or "rejected")
        assert given["suggestion"]["own_values"] is None
    path = f"{JUDGES}/{task['judge']['id']}/trust"
    report = ask(server, "GET", path)
    assert report["suggestions"] == {
        "accepted": 1,
        "edited": 1,
        "rejected": 1,
        "agreed": 0,
        "seen_first": 3,
    }
    assert (report["graded"], report["with_suggested"]) == (0, False)
    assert ask(server, "GET", f"{path}?suggested=true")["graded"] == 3
    means = f"{JUDGES}/{task['judge']['id']}/estimates"
    assert ask(server, "GET", means)["graded"] == 0
    assert ask(server, "GET", f"{means}?suggested=true")["graded"] == 3
    path = f"/api/v1/feedback/{given['id']}"
    accepted = {"suggestion": reply(offer, taken=True)}
    assert ask(server, "POST", path, accepted)["suggestion"]["outcome"] == "accepted"
    changed = ask(server, "POST", path, {"json_values": {"stars": 2}})
    assert changed["suggestion"]["outcome"] == "edited", "what was accepted has changed since"


def test_a_blind_task_suggests_after_the_answer(server: Server) -> None:
    """The first answer stays the one that is compared; who said the same is not asked."""
    task = suggest(server, "hidden", [4, 4, 4])
    id = task["id"]
    key = create_key(server, "hidden-ann", "grade")
    found = ask(server, "POST", f"{TASKS}/{id}/next", {}, key=key)
    assert found["suggestion"] is None
    path = f"{TASKS}/{id}/suggestions"
    assert server.send("GET", f"{path}/{task['ids'][0]}", key=key).status == 403
    told = {"judge_id": task["judge"]["id"], "version": 1, "taken": True}
    grade(server, task, task["ids"][0], status=400, json_values={"stars": 4}, suggestion=told)
    same, kept, taken = (
        grade(server, task, each, key=key, json_values={"stars": stars}, reviewer_kind="person")
        for each, stars in zip(task["ids"], (4, 2, 1), strict=True)
    )
    assert same["suggestion"]["outcome"] == "agreed" and "suggestion" not in kept
    offer = ask(server, "GET", f"{path}/{task['ids'][1]}", key=key)["suggestion"]
    for each, is_taken in ((kept, False), (taken, True)):
        body = {"suggestion": reply(offer, taken=is_taken)}
        each |= ask(server, "POST", f"/api/v1/feedback/{each['id']}", body, key=key)
    assert (kept["json_values"], kept["version"]) == ({"stars": 2}, 1)
    assert (taken["json_values"], taken["version"]) == ({"stars": 4}, 2)
    assert taken["suggestion"] == {
        "judge_id": offer["judge_id"],
        "version": 1,
        "outcome": "accepted",
        "own_values": {"stars": 1},
    }
    report = ask(server, "GET", f"{JUDGES}/{task['judge']['id']}/trust")
    assert (report["graded"], report["suggestions"]["seen_first"]) == (3, 0)
    [field] = report["fields"]
    assert field["judge"]["error"]["value"] == pytest.approx((0 + 2 + 3) / 3), "as first answered"
    stale = {"suggestion": {**reply(offer, taken=True), "version": 9}}
    assert server.send("POST", f"/api/v1/feedback/{kept['id']}", stale, key=key).status == 409


def test_only_a_judge_of_the_task_can_suggest(server: Server) -> None:
    """Others are refused, as are versions that are not there; a changed task has no suggestion."""
    task, other = suggest(server, "mine", [3], blind=False), create(server, "foreign")
    path = f"{TASKS}/{task['id']}"
    for change, status in (
        ({"suggesting_judge": other["name"]}, 400),
        ({"suggesting_judge": "nobody"}, 404),
        ({"suggesting_version": 2}, 400),
        ({"suggesting_judge": "", "suggesting_version": 1}, 400),
    ):
        assert server.send("POST", path, change).status == status, change
    new = {"name": "x", "json_schema": SCHEMA, "suggesting_judge": other["id"]}
    assert server.send("POST", TASKS, new).status == 400
    ask(server, "POST", path, {"instruction": "Look twice."})
    assert ask(server, "POST", f"{path}/next", {})["suggestion"] is None
    assert ask(server, "POST", path, {"suggesting_judge": ""})["suggesting_judge"] == ""


def test_what_a_judge_is_unsure_of_is_asked_first(server: Server) -> None:
    """With its chance on record, which the report makes up for. The task or the wish orders so."""
    made = create(server, "informs", "varying")
    task = {"id": made["task_id"]}
    path = f"{TASKS}/{task['id']}"
    assert ask(server, "POST", path, {"order": "informative"})["order"] == "informative"
    assert server.send("POST", path, {"order": "best"}).status == 400
    ids = [record(server, "informs", 1 + number % 5, f"number {number}") for number in range(30)]
    run(server, made)
    chances: dict[int, list[float]] = {}
    for number in range(12):
        members = {"order": "oldest"} if number == 11 else {}
        found = ask(server, "POST", f"{path}/next", {"reviewer": "ann", **members})
        id = found["completion"]["id"]
        stars = 1 + ids.index(id) % 5
        given = grade(server, task, id, json_values={"stars": stars}, reviewer="ann")
        if number < 11:
            chances.setdefault(stars, []).append(given["selection_chance"])
        else:
            assert "selection_chance" not in given, "it was taken in another order"
    unsure = [chance for stars in (1, 2, 3) for chance in chances.get(stars, [])]
    sure = [chance for stars in (4, 5) for chance in chances.get(stars, [])]
    assert len(unsure) > len(sure) and min(unsure) > max(sure, default=0.2) >= 0.2
    report = ask(server, "GET", f"{JUDGES}/{made['id']}/trust")
    assert (report["graded"], report["weighted"]) == (12, True)
    [field] = ask(server, "GET", f"{JUDGES}/{made['id']}/estimates")["fields"]
    assert field["all"]["both"]["known"] == 12


def test_a_model_that_nobody_has_is_refused(server: Server) -> None:
    """At creation and in a change, with what there is; nothing is stored."""
    made = create(server, "resolved")
    body = {"task": made["task_id"], "model": "nobody/m-1", "name": "unresolved"}
    for path, wrong in ((JUDGES, body), (f"{JUDGES}/{made['id']}", {"model": "nobody/m-1"})):
        refused = server.send("POST", path, wrong)
        told = refused.body.decode()
        assert refused.status == 404 and "no provider 'nobody'" in told
        assert "The providers are" in told and "babbling" in told
    assert server.send("GET", f"{JUDGES}/unresolved").status == 404
    assert ask(server, "GET", f"{JUDGES}/{made['id']}")["version"] == 1


def test_the_built_in_model_can_judge(server: Server) -> None:
    """Its grades fit the task, or are counted as failed with their reasons."""
    made = ask(
        server,
        "POST",
        JUDGES,
        {"task": create(server, "tiny")["task_id"], "model": "local/briggs-tiny", "name": "tiny"},
    )
    for stars in (2, 4):
        record(server, "tiny", stars)
    done = run(server, made)
    assert done["status"] == "finished" and done["judged"] + done["failed"] == 2
    assert sum(done["failures"].values()) == done["failed"] == done["lacking"]
    for said in ask(server, "GET", f"{JUDGES}/{made['id']}/judgements")["data"]:
        if said["status"] == "finished":
            assert 1 <= said["json_values"]["stars"] <= 5 and 1 <= said["scores"]["stars"] <= 5
        else:
            assert said["failure"] and said["failure_reason"] and not said["scores"]
