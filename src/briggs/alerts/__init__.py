"""Alerts: watches figures of the record, and tells webhooks and people when they are too high."""
