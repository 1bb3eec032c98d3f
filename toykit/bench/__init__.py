"""Benchmarks: `python -m toykit.bench` measures every solver beside its peers, in one run."""
