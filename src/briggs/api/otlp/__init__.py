"""OpenTelemetry's protocol: traces in."""
