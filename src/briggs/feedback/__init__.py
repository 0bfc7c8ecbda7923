"""Grading: what is asked about completions, who answers next, and how far the answers agree."""
