"""The frames of AWS's binary event streams, as a vendor writes them.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import base64
import json
import struct
from binascii import crc32
from typing import Any

_STRING = 7


def encode_event(type: str, payload: dict[str, Any]) -> bytes:
    """An event of this type."""
    return encode_message({":message-type": "event", ":event-type": type}, payload)


def wrap(data: bytes) -> bytes:
    """A piece of an answer of `InvokeModel`, with padding that hides its length."""
    return encode_event("chunk", {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"})


def encode_exception(type: str, message: str) -> bytes:
    """An exception during the stream."""
    headers = {":message-type": "exception", ":exception-type": type}
    return encode_message(headers, {"message": message})


def encode_message(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    """One frame: its lengths and their checksum, headers, payload, and the checksum of all."""
    fields = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", _STRING, len(value.encode()))
        + value.encode()
        for name, value in {**headers, ":content-type": "application/json"}.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(fields) + len(body), len(fields))
    frame = prelude + struct.pack("!I", crc32(prelude)) + fields + body
    return frame + struct.pack("!I", crc32(frame))
