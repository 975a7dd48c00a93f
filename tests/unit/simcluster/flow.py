"""Waiting for what a simulated cluster does by itself."""

from support.waiting import eventually

__all__ = ["eventually"]
