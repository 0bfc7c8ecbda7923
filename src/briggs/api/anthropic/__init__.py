"""Anthropic's API, beside the messages that models answer."""
