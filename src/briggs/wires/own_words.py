"""Puts an error about a chat completion into the words of the caller's own format."""

from __future__ import annotations

import re
from collections.abc import Mapping

from briggs.types.encodings import decode_object
from briggs.types.errors import BriggsError, InvalidRequest, UpstreamRejected

_NAME = re.compile(r"\w+")


def use_own_words(error: BriggsError, *, names: Mapping[str, str], body: bytes) -> None:
    """Let an error say the caller's own name for the member that it is about.

    `names` has that for each member of a chat completion that the format calls otherwise, and
    `body` is the caller's request. A member that the caller wrote is already the caller's own. What
    is within a member has another place in another format, so only the member is named. The words
    of a vendor stay.
    """
    param = error.param
    if not names or not param or not isinstance(error, InvalidRequest | UpstreamRejected):
        return
    found = _NAME.match(param)
    own = names.get(found[0]) if found else None
    if own is None or own == param or _is_own(param, own, body):
        return
    error.param = own
    if not isinstance(error, UpstreamRejected):
        error.message = error.message.replace(f"'{param}'", f"'{own}'")


def _is_own(param: str, own: str, body: bytes) -> bool:
    """Whether the caller's request has this member. Its lists are counted otherwise in a chat."""
    name = param.partition("[")[0].partition(".")[0]
    if name == own:
        return not param.startswith(f"{name}[")
    try:
        return name in decode_object(body)
    except InvalidRequest:
        return False
