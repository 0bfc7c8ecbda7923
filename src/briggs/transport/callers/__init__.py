"""The server's side of a caller's connection."""
