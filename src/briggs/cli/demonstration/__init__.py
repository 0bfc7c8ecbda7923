"""The data of `briggs demo --data`: a month of varied calls, with tasks and grades."""
