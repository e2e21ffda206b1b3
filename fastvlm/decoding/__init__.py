"""Decoding loops: plain, and draft-and-verify."""
