"""A model's name as a part of a vendor's address."""

from __future__ import annotations

from urllib.parse import quote

from briggs.types.errors import InvalidRequest


def quote_model(model: str) -> str:
    """Quote a name so that it is one segment of a path. Raises `InvalidRequest`.

    A path with the segment `.` or `..` means another path (RFC 3986, 5.2.4).
    """
    if model in (".", ".."):
        raise InvalidRequest(
            f"'{model}' cannot be the name of a model: name one as provider/model.", param="model"
        )
    return quote(model, safe="")
