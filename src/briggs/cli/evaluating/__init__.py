"""What `briggs datasets` and `briggs evals` read."""
