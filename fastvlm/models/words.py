"""The first lesson: which words does each part of an image call for? Learned from captions alone, before any sentence.

A small model that is trained on sentences from the start learns the wording and stays blind. Here each image feature
is compared with the embeddings of all tokens, and an image calls for a word if any of its features does (noisy-or
multiple-instance learning; Fang et al., 'From captions to visual concepts and back', arXiv 1411.4952). Features end up
in the space of the words that name them, so that the decoder later has little more to do than to copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastvlm.models.backbone import Backbone
from fastvlm.models.corpus import Corpus

SPREAD = 0.16  # to which embeddings are scaled: where they are small at the start, all words would look alike
RARE = -5.0  # log-odds of a word at a feature before anything is learned


class WordNaming(nn.Module):
    """What comes before the language model, its embedding, and one log-odds a word."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self._features = backbone.image_features
        self.sight = nn.ParameterList(backbone.sight())
        self.embedding = backbone.model.get_input_embeddings()
        self.scale = SPREAD / self.embedding.weight.std().item()
        self.bias = nn.Parameter(self.embedding.weight.new_full((self.embedding.num_embeddings,), RARE))

    def forward(self, pixels: Tensor) -> Tensor:
        """[batch, 3, height, width] -> log probability that no feature calls for the word, [batch, vocabulary]."""
        features = self._features(pixels)
        directions = F.rms_norm(features, features.shape[-1:])
        odds = directions @ (self.scale * self.embedding.weight).t() + self.bias
        return -F.softplus(odds).sum(1)


def word_loss(naming: WordNaming, corpus: Corpus, rows: list[int]) -> Tensor:
    """Binary cross-entropy between the words of an image's references and those that its features call for."""
    device = naming.bias.device
    absent = naming(corpus.pixels(rows).to(device)).clamp(max=-1e-6)
    present = torch.log(-torch.expm1(absent))
    said = corpus.words(rows).to(device)
    return -(said * present + (1 - said) * absent).mean()
