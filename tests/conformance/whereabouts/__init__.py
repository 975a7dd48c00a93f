"""The network plugin that hands out addresses, at work against a real API server."""
