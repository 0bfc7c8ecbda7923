"""The commands, against a real server process."""
