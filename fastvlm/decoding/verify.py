"""The theorem: which drafts stand, and which token of the full model follows them.

Greedy decoding is deterministic, so a draft stands exactly when it is the full model's own choice after all drafts
before it (Leviathan et al., arXiv 2211.17192, section 2.3 at temperature 0). The text is that of plain decoding,
whatever was drafted.
"""

from __future__ import annotations

import torch
from torch import Tensor


def verify_greedy(drafts: Tensor, choices: Tensor) -> tuple[list[int], int]:
    """How many drafts stand, and the token that follows them.

    `drafts` is [k] (k may be 0); `choices` is [k + 1], entry i the full model's after the pending token and the first i
    drafts. Returns (the accepted drafts followed by the full model's own token, the number accepted): the longest prefix
    of drafts equal to the full model's choices, then its correction, or its bonus if all stand.
    """
    drafted, chosen = _to_lists(drafts, choices)
    accepted = 0
    while accepted < len(drafted) and drafted[accepted] == chosen[accepted]:
        accepted += 1
    return chosen[: accepted + 1], accepted


def _to_lists(drafts: Tensor, choices: Tensor) -> tuple[list[int], list[int]]:
    """Both in one copy from the device: the only time that a round waits for it."""
    both = torch.cat((drafts, choices)).tolist()
    return both[: len(drafts)], both[len(drafts) :]
