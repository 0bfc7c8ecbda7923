"""Judges: models that grade as a team's reviewers do, and how far they can be trusted."""
