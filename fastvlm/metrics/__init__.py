"""What is measured: speed, acceptance, quality, cost."""
