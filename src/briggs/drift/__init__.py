"""Watches whether the models behind names still answer as they did."""
