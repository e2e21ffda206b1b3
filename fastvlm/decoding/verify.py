"""The theorem: which drafts stand, and which token of the full model follows them.

Greedy decoding is deterministic, so a draft stands exactly when it is the full model's own choice after all drafts
before it (Leviathan et al., arXiv 2211.17192, section 2.3 at temperature 0). The text is that of plain decoding,
whatever was drafted.

Where tokens are drawn, the full model's choice is drawn so that it is distributed as the full model says and is the draft
as often as that allows (rejection sampling: the same paper, theorem 3.5; Chen et al., arXiv 2302.01318). A draft x from q
stands with probability min(1, p(x) / q(x)), else the choice comes from the residual norm(max(0, p - q)). Over all drafts,
token c is chosen with probability min(p(c), q(c)) + (1 - sum min(p, q)) residual(c) = p(c). After a choice that is not
the draft nothing of the round counts, so each token that counts is chosen by the p of the text before it.

How many tokens are drafted may depend on all that was drafted and said before, on the end of text among it, and on the
distribution that the next draft would be drawn from: each leaves that draft drawn from its q, and then the above holds.
It must not depend on the draft itself. Dropping a drawn token for what it is would leave others of their kind more often
than q says; so a drafter draws only after the policy has said that it wants the draft.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastvlm.decoding.sampling import draw, residual


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


def sampled_choices(drafts: Tensor, proposed: Tensor | None, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """The full model's choices [k + 1], drawn, for `verify_greedy` to read; see `chances` for the rest."""
    return draw(chances(drafts, proposed, wanted), generator)


def chances(drafts: Tensor, proposed: Tensor | None, wanted: Tensor) -> Tensor:
    """Of each choice, given the draft in its place: probabilities [k + 1, vocabulary].

    `drafts` [k] were drawn from the rows of `proposed` [k, vocabulary]; `wanted` [k + 1, vocabulary] is what the full model says after
    the pending token and the first i drafts. Without `proposed` the drafts are certain: q is 1 at the draft, so it stands with
    probability p, and the residual is p without it, which together is p itself. Behind the last draft there is nothing to
    stand: the choice is the bonus, from p.
    """
    if proposed is None:
        return wanted
    places = drafts.unsqueeze(-1)
    stands = acceptance(wanted[:-1].gather(-1, places), proposed.gather(-1, places))
    beside = residual(wanted[:-1], proposed) * (1 - stands)
    return torch.cat((beside.scatter_add(-1, places, stands), wanted[-1:]))


def acceptance(wanted: Tensor, proposed: Tensor) -> Tensor:
    """Probability that a draft stands, min(1, p / q), of p and q at the draft; q is above 0, as the draft was drawn."""
    return (wanted / proposed).clamp(max=1)


def _to_lists(drafts: Tensor, choices: Tensor) -> tuple[list[int], list[int]]:
    """Both in one copy from the device: the only time that a round waits for it."""
    both = torch.cat((drafts, choices)).tolist()
    return both[: len(drafts)], both[len(drafts) :]
