"""The shared router: what LiteLLM Proxy is told, and whom it lets in."""
