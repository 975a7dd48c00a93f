"""Tests for a team's own cluster: they write to one namespace that they make, and read the rest."""
