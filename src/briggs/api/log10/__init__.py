"""Log10's own API: reported calls, GraphQL, usage, and the pages that its clients link to."""
