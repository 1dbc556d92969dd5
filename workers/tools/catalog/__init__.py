"""One module per domain: its commands, parsers, models and tools together."""
