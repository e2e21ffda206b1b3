"""Imitation networks: what they are and how they learn to foretell the last layer."""
