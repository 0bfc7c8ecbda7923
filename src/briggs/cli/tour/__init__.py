"""The tour of `briggs demo`: a real server, real calls, and their record."""
