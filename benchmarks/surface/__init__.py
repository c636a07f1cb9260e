"""Surfaces against public peers, and how honest their errors are: ``python -m benchmarks.surface``."""
