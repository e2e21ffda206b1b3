"""Scores by a judge: another model that reads question, right answer and text, as MM-Vet and LLaVA-Bench in the wild ask for."""
