"""Every format of log files, in the order in which they are recognised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from briggs.wires.logs.base import LogFormat
from briggs.wires.logs.langfuse import LANGFUSE
from briggs.wires.logs.litellm import LITELLM
from briggs.wires.logs.openai import BATCH, FINE_TUNING
from briggs.wires.logs.openrouter import OPENROUTER

FORMATS = {each.name: each for each in (BATCH, LITELLM, OPENROUTER, LANGFUSE, FINE_TUNING)}


def find_format(row: Mapping[str, Any]) -> LogFormat | None:
    """The format of a row, or of a table with these columns. None if it is in no known one."""
    return next((each for each in FORMATS.values() if each.recognises(row)), None)
