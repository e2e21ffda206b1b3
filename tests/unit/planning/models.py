"""A model of round numbers, for hand-computed plans."""

from __future__ import annotations

from fastvlm.planning.shapes import Parameters, Shape

SHAPE = Shape(
    family="blip2-opt",
    decoder_layers=2,
    hidden=8,
    kv_heads=2,
    head_dim=4,
    vocabulary=10,
    image_tokens=4,
    parameters=Parameters(vision=100, qformer=10, encoder=20, decoder=200, embeddings=80, head=0),
)
