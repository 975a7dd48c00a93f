"""The controllers of the simulated cluster: one process that knows the API server by HTTP only."""
