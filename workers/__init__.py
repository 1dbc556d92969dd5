"""What happens on a host: its tools, its rules and the loop of its agents."""
