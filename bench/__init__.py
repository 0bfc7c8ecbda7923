"""Measures what Briggs costs beside a bare proxy and its peers; `python -m bench.bench`."""
