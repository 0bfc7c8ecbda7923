"""Vendors' words in answers of OpenAI's format: finish reasons, counts, costs, errors and texts."""
