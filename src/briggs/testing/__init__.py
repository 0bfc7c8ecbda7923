"""The pytest plugin: `pytest --briggs`."""
