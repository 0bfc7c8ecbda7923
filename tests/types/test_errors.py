"""The error object that callers see."""

from __future__ import annotations

import json

from briggs.types.errors import UpstreamRejected


def test_half_a_character() -> None:
    """Half a surrogate pair in an upstream's words is said as an escape, as JSON can."""
    error = UpstreamRejected("it said \ud800", upstream_status=400, code="\udfff", param="\ud83d")
    said = json.loads(error.encode())["error"]
    assert (said["message"], said["code"], said["param"]) == ("it said \ud800", "\udfff", "\ud83d")
