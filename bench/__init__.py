"""Measures the cost of Briggs next to a bare proxy and its peers: `python -m bench.bench`."""
