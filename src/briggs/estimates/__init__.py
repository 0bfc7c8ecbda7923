"""Pure functions of numbers: agreement, intervals, calibration, and estimates of a mean."""
