"""OpenAI's Responses API, both ways: from callers, and to vendors who speak it."""
