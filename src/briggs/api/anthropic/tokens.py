"""`POST /v1/messages/count_tokens`: asks the vendor, since every model counts in its own way.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.api.answers import read_body
from briggs.gateway.models import resolve
from briggs.gateway.order import arrange
from briggs.parts import find_parts
from briggs.types.completions import Completion
from briggs.wires.anthropic.tokens import read_count_request


async def count_tokens(request: Request) -> Response:
    """Ask the first target of the model. A count is no completion, so it is not recorded."""
    parts = find_parts(request)
    envelope = read_count_request(await read_body(request), request.headers)
    models = parts.running.models
    asked = Completion(organization_id=request.state.key.organization_id)
    [target, *_] = arrange(resolve(envelope.model, models=models), asked)
    models.calls += 1
    try:
        prepared = target.provider.prepare(envelope, model=target.model)
        answer = await target.provider.complete(prepared)
    finally:
        models.leave()
    return Response(answer.body, media_type="application/json")
