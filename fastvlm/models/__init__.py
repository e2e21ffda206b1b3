"""Vision-language models: their training, their loading and the decoder that runs them."""
