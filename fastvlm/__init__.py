"""FastVLM: self-speculative decoding for vision-language models, and the experiment that measures it."""
