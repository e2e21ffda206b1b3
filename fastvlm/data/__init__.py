"""Images, prompts and references: where they come from, and the manifest that all stages read."""
