"""Benchmarks: ratios within one run, never times across machines."""
