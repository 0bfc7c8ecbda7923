"""Tells a reviewer what a new version of a task changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from briggs.client import FeedbackTask
from briggs.types.fields import Path, describe, find_problem
from briggs.types.forms import Form


def describe_change(before: FeedbackTask, after: FeedbackTask, *, old: Form, new: Form) -> str:
    """The new version, the instruction if it changed, and every field that changed."""
    lines = [f"The task has changed from version {before.version} to version {after.version}."]
    if after.instruction != before.instruction:
        lines.append(f"New instruction: {after.instruction or '(none)'}")
    lines += _describe_fields(old, new)
    return "\n".join(lines)


def keep_values(values: Mapping[Path, Any], new: Form) -> dict[Path, Any]:
    """The values that fit the new form."""
    return {
        field.path: values[field.path]
        for field in new.fields
        if field.path in values and find_problem(field, values[field.path]) is None
    }


def list_changed(old: Form, new: Form) -> set[Path]:
    """The fields of the new form that are new or changed."""
    return {field.path for field in new.fields if field not in old.fields}


def _describe_fields(old: Form, new: Form) -> Iterator[str]:
    before = {field.path: field for field in old.fields}
    after = {field.path: field for field in new.fields}
    for path, field in after.items():
        if path not in before:
            yield f"New field: {field.name}, {describe(field)}."
        elif field != before[path]:
            yield f"Changed field: {field.name}, now {describe(field)}."
    for path, field in before.items():
        if path not in after:
            yield f"Removed field: {field.name}."
