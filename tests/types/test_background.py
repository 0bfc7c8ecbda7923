"""Work in the background goes on after an error."""

from __future__ import annotations

import asyncio

import pytest

from briggs.types.background import logging_errors
from briggs.types.errors import BriggsError


@pytest.mark.parametrize(
    ("error", "said", "has_traceback"),
    [
        (BriggsError("it is away"), "the lake waits: it is away", False),
        (KeyError("x"), "The lake failed. This is a defect of Briggs", True),
    ],
)
def test_a_step_that_fails(
    caplog: pytest.LogCaptureFixture, error: Exception, said: str, has_traceback: bool
) -> None:
    """What is expected is one line. A defect is logged with its traceback."""
    with logging_errors(waiting="the lake waits", failed="The lake failed"):
        raise error
    [record] = caplog.records
    assert (record.getMessage(), record.exc_info is not None) == (said, has_traceback)


def test_what_stops_the_work_passes() -> None:
    """A step that is cancelled ends."""
    with (
        pytest.raises(asyncio.CancelledError),
        logging_errors(waiting="it waits", failed="It failed"),
    ):
        raise asyncio.CancelledError
