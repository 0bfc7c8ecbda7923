"""OpenAI's format, which passes unchanged, and Azure's addresses for it."""
