"""Every error that Briggs raises, as one tree, and the error object that callers see.

    BriggsError                      status  code
    ├── InvalidRequest                 400
    │   ├── InvalidJson                400   invalid_json
    │   ├── UnsupportedParameter       400   unsupported_parameter
    │   ├── RequestTooLarge            413   request_too_large
    │   └── UnsupportedEncoding        415   unsupported_encoding
    ├── AuthenticationFailed           401   invalid_api_key
    ├── Forbidden                      403
    ├── NotFound                       404
    │   ├── ModelNotFound              404   model_not_found
    │   └── ProviderNotFound           404   provider_not_found
    ├── MethodNotAllowed               405   method_not_allowed
    ├── Conflict                       409   conflict
    ├── RequestTimeout                 408   request_timeout
    ├── NotOffered                     501   not_offered
    ├── Overloaded                     503   overloaded
    ├── StoreUnavailable               503   store_unavailable
    ├── ProviderNotReady               500   provider_not_ready
    ├── HangUp                         499   hang_up (in the record only)
    └── UpstreamError                  502
        ├── UpstreamUnreachable        502   upstream_unreachable
        ├── UpstreamTimeout            504   upstream_timeout
        ├── UpstreamRejected           as the upstream's, 401 and 403 become 502, 529 503
        ├── UpstreamInvalid            502   upstream_invalid
        ├── UpstreamTooLarge           502   upstream_too_large
        └── UpstreamTruncated          502   upstream_truncated

The object is that of section "Errors" of https://platform.openai.com/docs/api-reference:
`{"error": {"message", "type", "param", "code"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class BriggsError(Exception):
    """Something went wrong, and `message` says what to do about it."""

    http_status: int = 500
    type: str = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: Mapping[str, str] = headers or {}
        """Response headers that belong to this answer, such as `retry-after`."""
        self.received: bytes | None = None
        """What the upstream said, where an upstream said it."""

    @property
    def kind(self) -> str:
        """What the record calls this failure."""
        return self.code or self.type

    def to_object(self) -> dict[str, Any]:
        """The error object, ready for JSON."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }

    def encode(self) -> bytes:
        """The error object as JSON bytes."""
        return msgspec.json.encode(self.to_object())


class InvalidRequest(BriggsError):
    """The caller sent something that cannot be answered as it stands."""

    http_status = 400
    type = "invalid_request_error"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"


class UnsupportedParameter(InvalidRequest):
    """Whoever would be asked has no word for a parameter of the request."""

    code = "unsupported_parameter"


class RequestTooLarge(InvalidRequest):
    """The body is larger than `limits.body_bytes_max`."""

    http_status = 413
    code = "request_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The body is compressed in a way that we do not read."""

    http_status = 415
    code = "unsupported_encoding"


class AuthenticationFailed(BriggsError):
    """No key, or one that we do not know."""

    http_status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(BriggsError):
    """The call comes from where no call may come from."""

    http_status = 403
    type = "invalid_request_error"


class NotFound(BriggsError):
    """There is no such thing."""

    http_status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    """No provider has a model of this name."""

    code = "model_not_found"


class ProviderNotFound(NotFound):
    """The part of the model before the slash names no provider."""

    code = "provider_not_found"


class MethodNotAllowed(BriggsError):
    """The address exists, the method does not."""

    http_status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class Conflict(BriggsError):
    """Somebody else was quicker, or the same key came with another request."""

    http_status = 409
    type = "invalid_request_error"
    code = "conflict"


class RequestTimeout(BriggsError):
    """The caller stopped sending before the request was whole."""

    http_status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class NotOffered(BriggsError):
    """Log10 did this, and Briggs does not."""

    http_status = 501
    code = "not_offered"


class Overloaded(BriggsError):
    """More calls are in flight than `limits.in_flight_max` allows, or we are stopping."""

    http_status = 503
    code = "overloaded"


class StoreUnavailable(BriggsError):
    """The record cannot be written, so nothing is answered."""

    http_status = 503
    code = "store_unavailable"


class ProviderNotReady(BriggsError):
    """The provider cannot be asked as Briggs is set up: its key is missing, say."""

    code = "provider_not_ready"


class UpstreamError(BriggsError):
    """Whoever was asked did not answer as a chat completion should be answered."""

    http_status = 502
    type = "upstream_error"
    code: str | None = "upstream_error"

    @property
    def retryable(self) -> bool:
        """Whether another target, or the same one later, may do better."""
        return True


class UpstreamUnreachable(UpstreamError):
    """No connection, so nothing was sent."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """Nothing came for longer than we wait."""

    http_status = 504
    code = "upstream_timeout"


# Of what an upstream calls its error.
_NAME_CHARACTERS_MAX = 200

# What an upstream's error is called that names no type of its own.
_UPSTREAM_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class UpstreamRejected(UpstreamError):
    """The upstream answered with an error of its own; its words are kept."""

    code: str | None = "upstream_rejected"

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int,
        type: str | None = None,
        code: str | int | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers)
        self.upstream_status = upstream_status
        if 400 <= upstream_status < 500:
            # The words are the upstream's, and so is their code: it need not have one.
            self.type = _UPSTREAM_TYPES.get(upstream_status, "invalid_request_error")
            self.code = None
        # A refused key of ours is not the caller's to mend, and a 5xx that is not about
        # waiting says only that the upstream broke.
        passes = 400 <= upstream_status < 500 and upstream_status not in (401, 403)
        waits = upstream_status in (503, 504)
        self.http_status = upstream_status if passes or waits else 502
        if upstream_status == 529:
            # Anthropic's own number for being overloaded.
            self.http_status = 503
        if type:
            self.type = type[:_NAME_CHARACTERS_MAX]
        if code is not None:
            self.code = str(code)[:_NAME_CHARACTERS_MAX]
        if param is not None:
            self.param = param[:_NAME_CHARACTERS_MAX]

    @property
    def kind(self) -> str:
        return f"upstream_{self.upstream_status}"

    @property
    def retryable(self) -> bool:
        return self.upstream_status in (408, 409, 424, 429) or self.upstream_status >= 500


class UpstreamInvalid(UpstreamError):
    """What came is no chat completion, and cannot honestly be made one."""

    code = "upstream_invalid"


class UpstreamTooLarge(UpstreamError):
    """The answer is larger than `limits.answer_bytes_max`."""

    code = "upstream_too_large"


class UpstreamTruncated(UpstreamError):
    """The answer ended before it was whole."""

    code = "upstream_truncated"


class HangUp(BriggsError):
    """The caller was gone before the answer was whole; nobody reads this error but the record."""

    http_status = 499
    code = "hang_up"

    def __init__(self) -> None:
        super().__init__("The caller hung up before the answer was whole.")
