"""Reads the configuration of other gateways, as the lines of a `briggs.toml`."""
