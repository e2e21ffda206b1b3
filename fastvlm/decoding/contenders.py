"""The methods of a comparison as the timing loop sees them: a name, its knobs, and the rounds in which it decodes one prefix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fastvlm.decoding import autoregressive, exit_only, policies, speculative
from fastvlm.decoding.choice import Choice
from fastvlm.decoding.drafters import Drafter, EarlyExit, PromptLookup, check_exit_layer
from fastvlm.decoding.oracle import Oracle
from fastvlm.decoding.policies import Fixed, Policy
from fastvlm.decoding.rounds import Rounds, in_one
from fastvlm.decoding.skipping import load_skips
from fastvlm.errors import UserError
from fastvlm.imitation.store import load_drafter
from fastvlm.methods import IMITATING, LOSSY, SKIPPING
from fastvlm.models.target import Prefix, Target


@dataclass(frozen=True)
class Contender:
    """One setting of a method; `rounds` takes an example's prefix and who chooses its tokens.

    `draft_length` is the longest, where the policy may draft less; `always` the number that is drafted each round, 0 in plain decoding,
    None if it differs: of a drafter's settings, those that always draft as many are the same act. One with `hear` must be told plain
    decoding's text of the example first. `method` is the oracle's name, where it stands beside the method that is decoded.
    """

    policy: str
    exit_layer: int | None
    draft_length: int | None
    rounds: Callable[[Prefix, Choice], Rounds]
    always: int | None = None
    hear: Callable[[Sequence[int]], None] | None = None
    method: str | None = None

    @property
    def setting(self) -> dict[str, Any]:
        """What names it in a row."""
        named = {"policy": self.policy, "exit_layer": self.exit_layer, "draft_length": self.draft_length}
        return named | ({"method": self.method} if self.method else {})


def plain(target: Target, limit: int) -> Contender:
    """The baseline."""
    act = partial(autoregressive.rounds, target.decoder, limit=limit, end_tokens=target.end_tokens)
    return Contender("", None, None, act, always=0)


def groups(
    target: Target,
    method: str,
    drafters: Sequence[Drafter],
    draft_lengths: Sequence[int],
    fitted: Sequence[dict[str, Any]],
    limit: int,
    *,
    oracle: bool = False,
) -> list[list[Contender]]:
    """The settings of a method in groups, one a drafter; the timing loop runs the baseline once beside each group.

    `fitted` are the records of the dataset's policies, see `fit`. With `oracle` one of each drafter's stands in its group. Each
    setting has a drafter of its own, as settings take turns in the middle of their texts.
    """
    if not drafters:
        return [[plain(target, limit)]]
    if method in LOSSY:
        return [[_unverified(target, drafter, limit)] for drafter in drafters]
    return [
        [
            *(_drafting(target, copy(drafter), Fixed(length), length, limit) for length in draft_lengths),
            *(
                _fitted(target, copy(drafter), record, max(draft_lengths), limit)
                for record in fitted
                if record["exit_layer"] == (drafter.exit_layer or None)
            ),
            *(
                _drafting(target, Oracle(copy(drafter)), Fixed(draft_length), draft_length, limit)
                for draft_length in draft_lengths
                if oracle
            ),
        ]
        for drafter in drafters
    ]


def runners(group: Sequence[Contender], *, drawn: bool) -> list[Contender | None]:
    """Who runs for each setting of a group: of those that always draft as many the first, as they do the same; None for a policy that
    never drafts, as plain decoding runs beside the group. Where texts are drawn each runs for itself."""
    first: dict[tuple[str | None, int], Contender] = {}
    return [
        one if drawn or one.always is None else None if one.policy and not one.always else first.setdefault((one.method, one.always), one)
        for one in group
    ]


def _fitted(target: Target, drafter: Drafter, record: dict[str, Any], longest: int, limit: int) -> Contender:
    """A policy that found no drafting worth its seconds is plain decoding."""
    policy = policies.load(record)
    if policy is None:
        return replace(plain(target, limit), policy=record["policy"], exit_layer=record["exit_layer"], draft_length=longest)
    return _drafting(target, drafter, policy, longest, limit)


def _drafting(target: Target, drafter: Drafter, policy: Policy, draft_length: int, limit: int) -> Contender:
    act = partial(speculative.rounds, target.decoder, drafter, policy=policy, limit=limit, end_tokens=target.end_tokens)
    one = Contender(policy.name, drafter.exit_layer or None, draft_length, act, policy.always)
    return replace(one, hear=drafter.hear, method="oracle") if isinstance(drafter, Oracle) else one


def _unverified(target: Target, drafter: Drafter, limit: int) -> Contender:
    act = partial(in_one(exit_only.decode), target.decoder, drafter, limit=limit, end_tokens=target.end_tokens)
    return Contender("", drafter.exit_layer, None, act)


def load_drafters(
    knobs: dict[str, Any], target: Target, model: Path, imitations: Sequence[Path], *, skips: Path | None = None
) -> list[Drafter]:
    """Those of a method, one an exit layer; none for a method that does not draft. `skips` is what the search stage found.

    Raises `UserError` for an exit layer that the model does not have, and where `imitations` are not the networks of the exit layers.
    """
    if knobs["method"] == "prompt-lookup":
        return [PromptLookup()]
    if knobs["method"] in SKIPPING:
        if not skips:
            raise UserError(f"{knobs['method']}: nothing says what it skips; expected --skips with what the search stage wrote")
        return [load_skips(skips, target, model)]
    for exit_layer in knobs["exit_layers"]:
        check_exit_layer(exit_layer, len(target.decoder.layers))
    if knobs["method"] not in IMITATING:
        return [EarlyExit(exit_layer) for exit_layer in knobs["exit_layers"]]
    drafters = [load_drafter(folder, target, model) for folder in imitations]
    found = [drafter.exit_layer for drafter in drafters]
    if found != knobs["exit_layers"]:
        raise UserError(f"imitation networks of exit layers {found} were given; expected {knobs['exit_layers']}")
    return drafters
