"""OpenTelemetry: spans of model calls, whatever convention they follow."""
