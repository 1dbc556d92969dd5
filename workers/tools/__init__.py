"""The catalog: every tool an agent may use on its host, read-only and typed."""
