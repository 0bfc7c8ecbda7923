"""Measures models: datasets, scorers, runs, reports."""
