"""Ollama's own format: `/api/chat`."""
