"""Imitation networks: what they are and how they learn to foretell the last layer."""

# Texts whose states are read at once: attention over more long ones is larger than a processor's cache, and every layer then waits for
# memory. Here, so that who plans need not load what trains.
EVALUATION_BATCH = 16
