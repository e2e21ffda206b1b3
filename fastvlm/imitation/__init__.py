"""Imitation networks: what they are and how they learn to foretell the last layer."""

# Texts that distillation's validation reads at once. Here, so that who plans need not load what trains.
EVALUATION_BATCH = 64
