"""Writes the record of any call, whether Briggs answered it or a client reported it."""
