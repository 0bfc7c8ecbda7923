"""How work in the background goes on after an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from briggs.types.errors import BriggsError

logger = logging.getLogger("briggs")


@contextmanager
def logging_errors(*, waiting: str, failed: str) -> Iterator[None]:
    """Log the error of a step instead of raising it, so that the next step comes.

    An error that Briggs expects is one line: `waiting` and its reason. Any other is a defect:
    `failed` and its traceback.
    """
    try:
        yield
    except BriggsError as error:
        logger.warning("%s: %s", waiting, error)
    except Exception:
        logger.exception("%s. This is a defect of Briggs", failed)
