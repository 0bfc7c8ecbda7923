"""The grades of the demonstration."""

from __future__ import annotations

from collections import defaultdict

import pytest

from briggs.cli.demonstration.grades import TASKS, write_grades
from briggs.cli.demonstration.history import write_history
from briggs.cli.demonstration.judging import write_judge
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
        graded = {
            id
            for (of, id), some in by_answer.items()
            if of == task.id and any(given.reviewer_kind == "person" for given in some)
        }
        assert 0 < len(graded) < len(matching)


def test_the_judge_says_what_its_grades_say() -> None:
    """Each grade of it is a judgement with probabilities; some fail, and the run counts all."""
    history = write_history(now=NOW)
    grades = [given for _, given in write_grades(history, now=NOW)]
    made = write_judge(history, grades, began_at=NOW - 10, ended_at=NOW)
    finished = [(each, given) for each, given in made.said if given is not None]
    for judgement, given in finished:
        assert judgement.completion_id == given.completion_ids[0]
        assert judgement.scores["relevance"] == pytest.approx(given.json_values["relevance"], abs=1)
        assert all(sum(each) == pytest.approx(1) for each in judgement.probabilities.values())
    failed = [each for each, given in made.said if given is None]
    assert (made.run.judged, made.run.failed) == (len(finished), len(failed))
    assert made.run.matching == len(made.said) and sum(made.run.failures.values()) == len(failed)
    assert 0 < len(failed) < len(finished) and made.version.examples
