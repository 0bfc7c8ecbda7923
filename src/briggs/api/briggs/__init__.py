"""Briggs's own API: feedback and its tasks, queues, sessions, organizations, figures, test runs."""
