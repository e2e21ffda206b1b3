"""What the imitation network is taught: the last layer's direction, the full model's distribution, and the text itself."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cosine_loss(guessed: Tensor, last: Tensor) -> Tensor:
    """Mean of 1 - cosine similarity between guessed and true last-layer states, both [positions, hidden]."""
    return 1 - F.cosine_similarity(guessed, last, dim=-1).mean()


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher || student) at `temperature`, times its square (Hinton et al., arXiv 1503.02531); [positions, vocabulary] both."""
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    return F.kl_div(student, teacher, log_target=True, reduction="batchmean") * temperature**2


def token_loss(student_logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross-entropy, nats, of the text's own tokens [positions] under the student's [positions, vocabulary]."""
    return F.cross_entropy(student_logits, tokens)
