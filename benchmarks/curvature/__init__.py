"""Curvature against public peers: ``python -m benchmarks.curvature`` reruns everything, prints the tables."""
