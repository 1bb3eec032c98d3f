"""Benchmarks: `python -m toykit.bench` times every solver and its alternatives side by side, in one run."""
