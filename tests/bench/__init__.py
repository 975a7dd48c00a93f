"""Benchmarks of the collection and of the simulated cluster: ``python -m bench``."""
