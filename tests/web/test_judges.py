"""The pages of judges, as a browser without JavaScript gets them."""

from __future__ import annotations

from briggs.estimates.calibration import Point
from briggs.judges.verdicts import Calibration
from briggs.web.judges import draw_reliability
from tests.processes import Server
from tests.web.test_grading import EVIL, create_task, record, suggest
from tests.web.visitor import Visitor


def test_a_judge_is_made_and_run_without_json(server: Server) -> None:
    """From forms alone; a mistake comes back with what was typed."""
    task = create_task(server, "paged")
    visitor = Visitor(server)
    assert f"/judges?task={task['id']}" in visitor.visit(f"/feedback/{task['id']}").body.decode()
    page = visitor.visit(f"/judges?task={task['id']}").body.decode()
    assert f'value="{task["id"]}" selected' in page
    wrong = {"task": task["id"], "model": EVIL, "samples": "many"}
    refused = visitor.submit("/judges", **wrong)
    assert refused.status == 400 and "is a whole number" in refused.body.decode()
    assert EVIL not in refused.body.decode()
    form = {"task": task["id"], "model": "judge/m-1", "name": "paged <b>", "samples": "2"}
    page = visitor.submit("/judges", **form).body.decode()
    assert visitor.path.startswith("/judges/") and "paged &lt;b&gt;" in page
    assert "Too few grades to say" in page and "No run yet" in page
    here = visitor.path
    wrong_run = visitor.submit(f"{here}/runs", budget="much")
    assert wrong_run.status == 400 and "is an amount of dollars" in wrong_run.body.decode()
    wrong_run = visitor.submit(f"{here}/runs", filter='tag = "x', budget="1_0")
    kept = wrong_run.body.decode()
    assert wrong_run.status == 400 and 'value="tag = &#34;x"' in kept and 'value="1_0"' in kept
    page = visitor.submit(f"{here}/runs", limit="5", budget="1").body.decode()
    assert "No run yet" not in page and "0 of 0" in page
    page = visitor.submit(f"{here}/learn").body.decode()
    assert "version 2" in page and "nothing but its mark" in page
    assert "paged &lt;b&gt;" in visitor.visit("/judges").body.decode()
    assert server.send("DELETE", f"/api/v1{here}").status == 200
    gone = visitor.submit(f"{here}/runs", limit="5")
    assert gone.status == 400 and "was deleted" in gone.body.decode()
    assert visitor.submit(f"{here}/learn").status == 400
    assert "\u202e" not in visitor.visit("/judges/%E2%80%AE").body.decode()


def test_a_judge_is_shown_beside_people(server: Server) -> None:
    """The sentence is first; what suggestions became and what is not counted is said."""
    task = suggest(server, "shown-judge", blind=False)
    path = f"/api/v1/feedback_task/{task['id']}/next"
    found = server.send("POST", path, {}).json
    offer = found["suggestion"]
    body = {
        "task_id": task["id"],
        "completion_ids": [found["completion"]["id"]],
        "json_values": offer["json_values"],
        "reviewer_kind": "person",
        "suggestion": {"judge_id": offer["judge_id"], "version": 1, "taken": True},
    }
    assert server.send("POST", "/api/v1/feedback", body).status == 200
    visitor, here = Visitor(server), f"/judges/{offer['judge_id']}"
    page = visitor.visit(here).body.decode()
    assert page.index("Too few grades to say") < page.index("Cost so far")
    assert "1 accepted" in page and "1 grade was given while a suggestion was seen" in page
    counted = visitor.visit(f"{here}?suggested=true").body.decode()
    assert "They count here" in counted and "Words alone, without a model" in counted
    assert visitor.visit("/judges/nobody").status == 404
    record(server, "shown-judge", 1)


def test_failures_are_said_first(server: Server) -> None:
    """Counted by reason, with an example, above everything else; the calls are a click away."""
    task = create_task(server, "failing")
    [id] = record(server, "failing", 1)
    made = {"task": task["id"], "model": "ok/m-1", "name": "failing"}
    judge = server.send("POST", "/api/v1/judges", made).json
    path = f"/api/v1/judges/{judge['id']}/judgements"
    said = server.send("POST", path, {"completion_id": id}).json
    assert (said["failure"], said["attempts"]) == ("unreadable", 3)
    visitor = Visitor(server)
    page = visitor.visit(f"/judges/{judge['id']}").body.decode()
    assert page.index("Failed judgements:") < page.index("Too few grades to say")
    assert "1 could not be read." in page and "Could not be read, for example:" in page
    listed = visitor.visit("/judges").body.decode()
    assert "How far to trust it" in listed
    assert f"/completions/{id}" in page and f"/completions/{said['call_ids'][-1]}" in page


def test_the_plot_shows_both_sides_of_calibration() -> None:
    """A ring for each bin before, a dot after; nothing is drawn of nothing."""
    points = [Point(1.0, 2.0, 5), Point(4.0, 3.0, 50)]
    drawn = draw_reliability(
        Calibration(
            method="line", error_before=1.0, error_after=0.0, before=points, after=points[:1]
        )
    )
    assert (drawn.count('class="before"'), drawn.count('class="after"')) == (2, 1)
    none = Calibration(method="line", error_before=None, error_after=None, before=[], after=[])
    assert draw_reliability(none) == ""
