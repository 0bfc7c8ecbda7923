"""Translates between a chat completion and each vendor's format, both ways. Pure functions."""
