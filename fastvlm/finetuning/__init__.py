"""Fine-tuning of the backbone itself, so that its early exits say more of what its last layer says."""
