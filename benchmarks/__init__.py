"""Measurements of the code itself, apart from any experiment."""
