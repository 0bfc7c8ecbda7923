"""The grades of the demonstration."""

from __future__ import annotations

from collections import defaultdict

from briggs.cli.demonstration.grades import TASKS, write_grades
from briggs.cli.demonstration.history import write_history
from briggs.feedback.schemas import check_values

NOW = 1_796_000_000_000_000


def test_grades_fit_their_tasks_and_partly_disagree() -> None:
    """Three people and a judge grade; none twice, some differently, and some answers wait."""
    history = write_history(now=NOW)
    grades = list(write_grades(history, now=NOW))
    assert {task.name for task, _ in grades} == {task.name for task in TASKS}
    assert len({given.reviewer for _, given in grades}) == 4
    by_answer = defaultdict(list)
    for task, given in grades:
        check_values(given.json_values, schema=task.json_schema)
        assert given.created_at < NOW
        by_answer[task.id, given.completion_ids[0]].append(given)
    differing = 0
    for some in by_answer.values():
        reviewers = [given.reviewer for given in some]
        assert len(set(reviewers)) == len(reviewers)
        people = [given for given in some if given.reviewer_kind == "person"]
        assert len(people) <= 2
        differing += len({str(given.json_values) for given in people}) > 1
    assert 0 < differing < len(by_answer)
    for task in TASKS:
        [tag] = task.completion_tags_selector
        matching = [
            call.completion
            for call in history
            if call.completion.status == "finished" and tag in call.completion.tags
        ]
        graded = {id for of, id in by_answer if of == task.id}
        assert 0 < len(graded) < len(matching)
