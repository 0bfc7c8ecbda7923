"""Every error that Briggs raises, as one tree, and the error object that callers see.

`except briggs.BriggsError` catches them all. This module has the server's errors,
`client/errors.py` has the SDK's, `storage/errors.py` the store's, and `feedback/` two of its own.

    BriggsError                      status  code
    ├── InvalidRequest                 400
    │   ├── InvalidJson                400   invalid_json
    │   ├── UnsupportedParameter       400   unsupported_parameter
    │   ├── RequestTooLarge            413   request_too_large
    │   ├── UnsupportedEncoding        415   unsupported_encoding
    │   ├── InvalidFilter              400
    │   ├── InvalidValues                    feedback that does not fit its task
    │   └── TooMuchWork                      a schema that takes too long to check
    ├── AuthenticationFailed           401   invalid_api_key
    ├── Forbidden                      403
    ├── NotFound                       404
    │   ├── ModelNotFound              404   model_not_found
    │   └── ProviderNotFound           404   provider_not_found
    ├── Gone                           410   deleted
    ├── MethodNotAllowed               405   method_not_allowed
    ├── Conflict                       409   conflict
    ├── RequestTimeout                 408   request_timeout
    ├── TooManyAttempts                429   too_many_attempts
    ├── LimitReached                   429
    │   ├── RateLimitExceeded          429   rate_limit_exceeded
    │   └── InsufficientQuota          429   insufficient_quota
    ├── PriceUnknown                   403   price_unknown
    ├── Overloaded                     503   overloaded
    ├── StoreUnavailable               503   store_unavailable
    ├── LakeUnavailable                503   lake_unavailable
    ├── ProviderNotReady               500   provider_not_ready
    ├── HangUp                         499   hang_up (in the record only)
    ├── UpstreamError                  502
    │   ├── UpstreamUnreachable        502   upstream_unreachable
    │   ├── UpstreamTimeout            504   upstream_timeout
    │   ├── UpstreamRejected           as the upstream's, 401 and 403 become 502, 529 503
    │   ├── UpstreamInvalid            502   upstream_invalid
    │   ├── UpstreamTooLarge           502   upstream_too_large
    │   └── UpstreamTruncated          502   upstream_truncated
    ├── StoreError                     500   store_error
    │   ├── StoreLocked                      another server uses the folder
    │   ├── StoreTooNew                      a newer Briggs has migrated this database
    │   ├── AlreadySettled                   a completion was settled twice
    │   ├── NotRecorded                      this one row could not be written
    │   └── TermEnded                        another node does now what this one did
    └── ClientError                          what the SDK raises
        ├── InvalidCall                      the call cannot be sent
        │   └── InvalidArgument              an argument has the wrong type
        ├── ServerUnreachable                nothing listens at the address
        ├── ConnectionLost                   the connection broke, or nothing arrived in time
        ├── InvalidAnswer                    the answer is not from a Briggs server
        └── Refused                          the server answered with an error
            ├── AuthenticationFailed   401
            └── NotFound               404

The object is that of section "Errors" of https://platform.openai.com/docs/api-reference:
`{"error": {"message", "type", "param", "code"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from briggs.types import json


class BriggsError(Exception):
    """Something went wrong. `message` explains what to do."""

    http_status: int = 500
    """The status of the answer, if a server fails with this error."""
    type: str | None = "server_error"
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
        """Response headers of this answer, such as `retry-after`."""
        self.received: bytes | None = None
        """What the upstream sent, if the error is from an upstream."""

    @property
    def kind(self) -> str:
        """The `failure_kind` in the record."""
        return self.code or self.type or "server_error"

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
        return json.encode_plain(self.to_object())


class InvalidRequest(BriggsError):
    """The request is invalid."""

    http_status = 400
    type = "invalid_request_error"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"


class UnsupportedParameter(InvalidRequest):
    """The provider has no equivalent for a parameter of the request."""

    code = "unsupported_parameter"


class RequestTooLarge(InvalidRequest):
    """The body is larger than `limits.body_bytes_max`."""

    http_status = 413
    code = "request_too_large"


class UnsupportedEncoding(InvalidRequest):
    """The body's compression is not supported."""

    http_status = 415
    code = "unsupported_encoding"


class InvalidFilter(InvalidRequest):
    """A filter cannot be read. `word` is what is wrong, and `meant` what may have been meant."""

    def __init__(
        self,
        message: str,
        *,
        word: str = "",
        position: int | None = None,
        meant: str | None = None,
    ) -> None:
        super().__init__(message, param="filter")
        self.word = word
        self.position = position
        """Where the word is. Counts from 1."""
        self.meant = meant


class AuthenticationFailed(BriggsError):
    """The key is missing or unknown."""

    http_status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(BriggsError):
    """The caller may not make this call."""

    http_status = 403
    type = "invalid_request_error"


class NotFound(BriggsError):
    """The id, name or address does not exist."""

    http_status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    """No provider has a model with this name."""

    code = "model_not_found"


class ProviderNotFound(NotFound):
    """The part of the model before the slash is not a known provider."""

    code = "provider_not_found"


class Gone(BriggsError):
    """It was deleted."""

    http_status = 410
    type = "invalid_request_error"
    code = "deleted"


class MethodNotAllowed(BriggsError):
    """The address exists, but not for this method."""

    http_status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class Conflict(BriggsError):
    """Another call came first, or an idempotency key was reused for another request."""

    http_status = 409
    type = "invalid_request_error"
    code = "conflict"


class RequestTimeout(BriggsError):
    """The caller stopped sending before the request was complete."""

    http_status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class TooManyAttempts(BriggsError):
    """Somebody tries keys faster than a person would."""

    http_status = 429
    type = "rate_limit_error"
    code = "too_many_attempts"


class LimitReached(BriggsError):
    """A key, an end user or an organization has used what it may."""

    http_status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class RateLimitExceeded(LimitReached):
    """There is room again soon, for all but a call that is too large. `type` says of what."""

    def __init__(
        self, message: str, *, type: str = "requests", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, headers=headers)
        self.type = type


class InsufficientQuota(LimitReached):
    """The budget of this day or month is spent."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class PriceUnknown(BriggsError):
    """A call has a limit in dollars, and nobody knows what it costs."""

    http_status = 403
    type = "invalid_request_error"
    code = "price_unknown"


class Overloaded(BriggsError):
    """Too many calls are in flight (`limits.in_flight_max`), or the server is stopping."""

    http_status = 503
    code = "overloaded"


class StoreUnavailable(BriggsError):
    """The record cannot be written, so nothing is answered."""

    http_status = 503
    code = "store_unavailable"


class LakeUnavailable(BriggsError):
    """The lake cannot be read or written. The record goes on."""

    http_status = 503
    code = "lake_unavailable"


class ProviderNotReady(BriggsError):
    """The provider is not set up: for example, its key is missing."""

    code = "provider_not_ready"


class UpstreamError(BriggsError):
    """The upstream did not answer with a valid chat completion."""

    http_status = 502
    type = "upstream_error"
    code: str | None = "upstream_error"

    @property
    def retryable(self) -> bool:
        """Whether another target, or the same one later, may succeed."""
        return True


class UpstreamUnreachable(UpstreamError):
    """The connection failed, so nothing was sent."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """Nothing arrived before the timeout."""

    http_status = 504
    code = "upstream_timeout"


# The longest `type`, `code` or `param` that is taken from an upstream's error.
_NAME_CHARACTERS_MAX = 200

# The `type` of an upstream's error that has none.
_UPSTREAM_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class UpstreamRejected(UpstreamError):
    """The upstream answered with an error. Its message is kept."""

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
            # The message is the upstream's. Its `code` is too, and may be missing.
            self.type = _UPSTREAM_TYPES.get(upstream_status, "invalid_request_error")
            self.code = None
        # 401 and 403 concern Briggs's key, which the caller cannot change. Of the 5xx, only
        # 503 and 504 tell the caller more than 502 does.
        passes = 400 <= upstream_status < 500 and upstream_status not in (401, 403)
        waits = upstream_status in (503, 504)
        self.http_status = upstream_status if passes or waits else 502
        if upstream_status == 529:
            # Anthropic's status for an overload.
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
    """The answer is not a chat completion, and cannot be mended without inventing content."""

    code = "upstream_invalid"


class UpstreamTooLarge(UpstreamError):
    """The answer is larger than `limits.answer_bytes_max`."""

    code = "upstream_too_large"


class UpstreamTruncated(UpstreamError):
    """The answer ended before it was complete."""

    code = "upstream_truncated"


class HangUp(BriggsError):
    """The caller left before the answer was complete. Only the record has this error."""

    http_status = 499
    code = "hang_up"

    def __init__(self) -> None:
        super().__init__("The caller hung up before the answer was complete.")
