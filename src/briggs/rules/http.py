"""H: an answer to a failed call is an error object."""

from __future__ import annotations

from collections.abc import Iterator

from briggs.rules.answer import CheckedBody
from briggs.rules.book import Broken, rule


class ErrorBody(CheckedBody):
    """The body of an answer whose status is not 2xx."""

    def __init__(self, data: bytes, *, status: int, content_type: str | None) -> None:
        super().__init__(data)
        self.status = status
        self.content_type = content_type


@rule(
    "H1", "error", "An answer with a status other than 2xx is a JSON object.",
    on="error",
    basis="ErrorResponse, of content type application/json.",
    fix="An error object is written, with the upstream's words as its message.",
)  # fmt: skip
def is_a_json_object(body: ErrorBody) -> Iterator[Broken]:
    kind = (body.content_type or "application/json").split(";")[0].strip().lower()
    if kind != "application/json":
        yield Broken("", f"The content type is '{body.content_type}'.")
    if body.fault is not None:
        yield Broken("", f"It is not valid JSON: {body.fault}.")
    elif not isinstance(body.value, dict):
        yield Broken("", "It is not an object.", body.value)


@rule(
    "H2", "error", "`error` has message, type, param and code; param and code may be null.",
    on="error",
    basis="Error: requires code (string or null), message (string), param (string or null) and "
    "type (string).",
    fix="An error object with all four is written.",
)  # fmt: skip
def is_an_error_object(body: ErrorBody) -> Iterator[Broken]:
    if not isinstance(body.value, dict):
        return
    error = body.value.get("error", ...)
    if not isinstance(error, dict):
        yield Broken(
            "error", "It is not an object." if error is not ... else "It is missing.", error
        )
        return
    for name, nullable in (("message", False), ("type", False), ("param", True), ("code", True)):
        value = error.get(name, ...)
        if value is ...:
            yield Broken(f"error.{name}", "It is missing.")
        elif not isinstance(value, str) and not (nullable and value is None):
            yield Broken(f"error.{name}", "It is not a string.", value)
