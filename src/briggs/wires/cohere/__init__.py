"""Cohere's format: version 2 of its chat API."""
