"""Organizations and their keys: who may do what, and see what."""
