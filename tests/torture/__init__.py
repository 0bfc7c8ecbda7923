"""Faults drawn from a seed against real processes under load, and what became of each call."""
