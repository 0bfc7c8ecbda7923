"""The `/api` face: Log10's contract, and what Briggs has beside it on the same nouns."""
