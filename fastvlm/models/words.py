"""The first lesson: which words does each patch call for? Learned from captions alone, before any sentence.

A small model that is trained on sentences from the start learns the wording and stays blind. Here each projected patch
is compared with the embeddings of all tokens, and an image calls for a word if any of its patches does (noisy-or
multiple-instance learning; Fang et al., 'From captions to visual concepts and back', arXiv 1411.4952). Patches end up
in the space of the words that name them, so that the decoder later has little more to do than to copy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from fastvlm.models.corpus import Corpus

SCALE = 8.0  # embeddings are small at the start; without it all words look alike
RARE = -5.0  # log-odds of a word at a patch before anything is learned


class WordNaming(nn.Module):
    """Vision tower, projector and embedding of a model, and one log-odds a word."""

    def __init__(self, model: LlavaForConditionalGeneration):
        super().__init__()
        self.tower, self.projector = model.model.vision_tower, model.model.multi_modal_projector
        self.embedding = model.model.language_model.embed_tokens
        self.bias = nn.Parameter(self.embedding.weight.new_full((self.embedding.num_embeddings,), RARE))

    def forward(self, pixels: Tensor) -> Tensor:
        """[batch, 3, height, width] -> log probability that no patch calls for the word, [batch, vocabulary]."""
        patches = self.projector(self.tower(pixels).last_hidden_state[:, 1:])
        directions = F.rms_norm(patches, patches.shape[-1:])
        odds = directions @ (SCALE * self.embedding.weight).t() + self.bias
        return -F.softplus(odds).sum(1)


def word_loss(naming: WordNaming, corpus: Corpus, rows: list[int]) -> Tensor:
    """Binary cross-entropy between the words of an image's references and those that its patches call for."""
    device = naming.bias.device
    absent = naming(corpus.pixels(rows).to(device)).clamp(max=-1e-6)
    present = torch.log(-torch.expm1(absent))
    said = corpus.words(rows).to(device)
    return -(said * present + (1 - said) * absent).mean()
