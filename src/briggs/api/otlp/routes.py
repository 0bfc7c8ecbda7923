"""The route of OpenTelemetry's protocol."""

from __future__ import annotations

from briggs.api.otlp.traces import create_traces
from briggs.api.route import route

ROUTES = [route("POST", "/v1/traces", create_traces, scope="answer")]
