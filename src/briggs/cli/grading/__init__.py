"""Grades on a terminal: one completion of the queue after the other, a form for each."""
