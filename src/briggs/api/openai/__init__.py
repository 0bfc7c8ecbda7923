"""The `/v1` face: OpenAI's chat completions, stored completions, models and keys."""
