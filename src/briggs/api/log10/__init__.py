"""The `/api` API: Log10's routes, and Briggs's own routes for the same nouns."""
