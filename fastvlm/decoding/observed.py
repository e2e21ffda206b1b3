"""What a policy would have made of texts whose drafts were observed: in how many rounds, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Any, NamedTuple

from fastvlm.decoding.costs import Costs
from fastvlm.decoding.policies import Policy


class Draft(NamedTuple):
    """At one place of a text: the drafter's probability of its draft, whether the draft stands there, and the probabilities of what it
    drafted `behind` one that does not, until the text seemed to end, or the round did (`cut`). `stands` is None where none was drafted, as
    a whole round stood just before.
    """

    confidence: float
    stands: bool | None
    behind: Sequence[float] = ()
    cut: bool = False


class Text(NamedTuple):
    """The `drafts` at the places of a text behind its first token, which `context` tokens stand before."""

    context: int
    drafts: Sequence[Draft]

    @staticmethod
    def of(rounds: Iterable[Sequence[Any]], longest: int, *, ends_in_draft: bool = False) -> Text:
        """From rounds of [context, accepted, the drafter's probability of each draft], as the observe stage writes them: of `longest`
        drafts, where the drafter did not end them."""
        context, drafts = None, list[Draft]()
        for begins, accepted, confidences in rounds:
            context = begins if context is None else context
            drafts += [Draft(confidence, stands=True) for confidence in confidences[:accepted]]
            if accepted < len(confidences):
                behind, cut = confidences[accepted + 1 :], len(confidences) == longest
                drafts.append(Draft(confidences[accepted], stands=False, behind=behind, cut=cut))
            else:
                drafts.append(Draft(drafts[-1].confidence if drafts else 1.0, stands=None))
        return Text(context or 0, drafts[:-1] if ends_in_draft else drafts)


def replay(policy: Policy, texts: Iterable[Text], costs: Costs) -> tuple[int, float]:
    """Tokens and seconds of the texts, had `policy` decided how much is drafted.

    A draft that is dropped has cost a step, one that is looked at a look. Each text costs a start if any round of it drafts. Every policy
    goes through the whole of a text, as the last tokens of a short one may want a round more or not; where no draft was observed, one is
    taken to stand.
    """
    tokens, seconds = 0, 0.0
    for text in texts:
        policy.start()
        place, starts = 0, False
        while place < len(text.drafts):
            kept, guessed = _kept(policy, text, place)
            accepted = next((stood for stood, draft in enumerate(text.drafts[place : place + kept]) if draft.stands is False), kept)
            policy.learn(kept, accepted)
            place += accepted + 1
            seconds += costs.passes[kept] + guessed * (costs.step + costs.look * policy.watches)
            starts |= guessed > 0
        tokens += len(text.drafts)
        seconds += starts * costs.start
    return tokens, seconds


def _kept(policy: Policy, text: Text, place: int) -> tuple[int, int]:
    """Of a round that begins at `place`, how many drafts the policy verifies, and for how many it pays."""
    kept = 0
    for confidence in islice(_confidences(text.drafts[place:]), policy.most(text.context + place)):
        if policy.watches:
            if not policy.goes_on():
                break
            if not policy.wants(confidence):
                return kept, kept + 1
        kept += 1
    return kept, kept


def _confidences(drafts: Iterable[Draft]) -> Iterator[float]:
    """The drafter's, one draft after the other: to the text's end, or what it takes for that behind a draft that does not stand."""
    for draft in drafts:
        yield draft.confidence
        if draft.stands is False:
            yield from draft.behind
            yield from repeat((draft.confidence, *draft.behind)[-1]) if draft.cut else ()
            return


def rate_of(policy: Policy, texts: Iterable[Text], costs: Costs) -> float:
    """Tokens a second."""
    tokens, seconds = replay(policy, texts, costs)
    return tokens / seconds if seconds else 0.0
