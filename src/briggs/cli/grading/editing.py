"""Edits feedback on a terminal. Asks again only for values that the server refuses."""

from __future__ import annotations

from collections.abc import Callable, Collection

from briggs.cli.grading.interview import FilledForm, Interview, Said
from briggs.client import Refused
from briggs.types.fields import Path
from briggs.types.form_lines import find_fields
from briggs.types.forms import Form


def edit(
    before: FilledForm, *, form: Form, interview: Interview, hand_in: Callable[[FilledForm], None]
) -> Said:
    """Ask for every field, and hand the answer in unless a command ends the interview.

    Raises `Refused` for anything but wrong values.
    """
    answer, only = before, None
    while True:
        said = interview.ask(answer, only=only)
        if said.command is not None:
            return said
        try:
            hand_in(said.answer)
        except Refused as error:
            if error.status != 400:
                raise
            answer, only = said.answer, explain(error, form=form, interview=interview)
        else:
            return said


def explain(error: Refused, *, form: Form, interview: Interview) -> Collection[Path] | None:
    """Show why values were refused. Returns the fields to ask for again, or None for all."""
    for problem in error.problems:
        name = problem["path"].removeprefix("json_values").lstrip(".")
        interview.complain(f"{name}: {problem['message']}" if name else problem["message"])
    if not error.problems:
        interview.complain(str(error))
    return find_fields(form, error.problems) or None
