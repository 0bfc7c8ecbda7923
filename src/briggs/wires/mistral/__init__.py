"""Mistral's format: close to OpenAI's."""
