"""Gemini's format: `generateContent`."""
