"""Benchmarks, scorers, the runner over views, and the statistics of paired gaps; scoring needs no torch."""
