"""Reads the files in which other tools keep calls: a row becomes a call that can be reported.

`FORMATS` has them by name. A reader returns the body of `POST /api/v1/completions`. It raises
`NotACall` for a row that is something else, such as a span or an embedding.
"""

from briggs.wires.logs.base import LogFormat, NotACall
from briggs.wires.logs.formats import FORMATS, find_format

__all__ = ["FORMATS", "LogFormat", "NotACall", "find_format"]
