"""What hostswarm costs, measured on real processes: `python -m benchmarks`."""
