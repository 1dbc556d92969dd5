"""The rules: what of a host's evidence is a finding, and how grave."""
