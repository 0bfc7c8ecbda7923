"""The path of one call: choose a target, get its answer, conform it, price it, record it."""
