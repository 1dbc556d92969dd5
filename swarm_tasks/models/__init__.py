"""Everything that travels between processes, frozen and typed."""
