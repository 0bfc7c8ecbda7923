"""The HTTP APIs: who may call them, and the answer of each route."""
