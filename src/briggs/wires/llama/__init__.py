"""llama.cpp's format: OpenAI's, with a few differences."""
