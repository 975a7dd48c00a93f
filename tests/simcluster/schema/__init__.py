"""Kinds of the simulated cluster, and what the API server does to objects by their schemas."""

from .errors import SchemaInvalid
from .registry import Registry
from .resource import Resource

__all__ = ["Registry", "Resource", "SchemaInvalid"]
