"""Azure's paths of the `/v1` API: `/openai/v1/...`, and `/openai/deployments/NAME/...`.

https://learn.microsoft.com/azure/ai-foundry/openai/reference
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from briggs.transport.callers.cycle import Cycle
from briggs.wires.base import Face
from briggs.wires.openai.deployment import open_deployment

_OPENAI = b"/openai/"
_DEPLOYMENTS = b"/openai/deployments/"
_VERSION = re.compile(rb"(^|&)api-version=[^&]*")


def read_azure(cycle: Cycle, *, faces: Mapping[bytes, Face]) -> Face | None:
    """The face of a path of Azure's. A path without one becomes that of the `/v1` API.

    The version of Azure's API changes nothing: each of them has the same requests.
    """
    if not cycle.path.startswith(_OPENAI):
        return None
    path = unquote_to_bytes(cycle.path)
    if path.startswith(_DEPLOYMENTS):
        return _find_deployment(path.removeprefix(_DEPLOYMENTS), faces)
    cycle.path = b"/v1/" + cycle.path.removeprefix(_OPENAI).removeprefix(b"v1/")
    cycle.query = _VERSION.sub(b"", cycle.query).lstrip(b"&")
    return faces.get(unquote_to_bytes(cycle.path))


def _find_deployment(rest: bytes, faces: Mapping[bytes, Face]) -> Face | None:
    """The face of `NAME/chat/completions`. A name may have slashes."""
    if b"/v1/" + rest in faces:
        # The name is empty.
        return None
    for path in sorted(faces, key=len, reverse=True):
        operation = path.removeprefix(b"/v1")
        name = rest.removesuffix(operation)
        if path != operation and name and name != rest:
            return open_deployment(faces[path], model=name.decode("utf-8", "replace"))
    return None
