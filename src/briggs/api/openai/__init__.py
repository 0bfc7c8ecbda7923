"""The `/v1` API: OpenAI's chat completions, stored completions, models and keys."""
