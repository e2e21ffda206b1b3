"""The law where texts are drawn: speculative decoding draws from plain decoding's distribution, whoever drafts and however much.

By enumeration, without chance: every draft and every choice, with its probability, of a round and then of whole texts of real models.
And as the texts are drawn, by a test that would raise a false alarm once in a million other seeds. All see rules that are wrong.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from functools import cached_property
from itertools import product
from unittest import mock

import pytest
import torch

from fastvlm.decoding import autoregressive, exit_only, speculative, verify
from fastvlm.decoding import choice as choices_of
from fastvlm.decoding.choice import Sampled
from fastvlm.decoding.drafters import EarlyExit, PromptLookup
from fastvlm.decoding.policies import Confidence, Fixed
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.sampling import Sampling, draw, probabilities
from fastvlm.decoding.verify import chances, verify_greedy
from tests import tiny

VOCABULARY = 3
TOKENS = range(VOCABULARY)
BROKEN = {
    "every draft stands": ("acceptance", lambda wanted, proposed: torch.ones_like(wanted)),
    "q over p": ("acceptance", lambda wanted, proposed: (proposed / wanted).clamp(max=1)),
    "no residual": ("residual", lambda wanted, proposed: wanted),
}

# --- by enumeration


class Speaker:
    """A distribution of the next token for each text of at most `length` tokens, some probabilities of which are 0."""

    def __init__(self, seed: int, length: int):
        generator = torch.Generator().manual_seed(seed)
        self.next = {}
        for text in (text for size in range(length + 1) for text in product(TOKENS, repeat=size)):
            weights = torch.rand(VOCABULARY, generator=generator, dtype=torch.float64) ** 2
            weights[torch.randint(VOCABULARY, (1,), generator=generator)] *= torch.rand(1, generator=generator).item() < 0.7
            self.next[text] = weights / weights.sum()

    def rows(self, text: tuple[int, ...], places: int) -> torch.Tensor:
        """[places, vocabulary]: behind nothing, the first token of `text`, the first two ..."""
        return torch.stack([self.next[text[:place]] for place in range(places)])

    def says(self, length: int) -> dict[tuple[int, ...], float]:
        return {
            text: math.prod(float(self.next[text[:place]][token]) for place, token in enumerate(text))
            for text in product(TOKENS, repeat=length)
        }


def drawn_drafts(drafter, most, goes_on=lambda drafts: True, keeps=lambda token: True, drafts=()):
    """Every chain of drafts with its probability. `goes_on` sees those that are drafted, `keeps` the one that was just drawn."""
    if len(drafts) == most or not goes_on(drafts):
        yield drafts, 1.0
        return
    for token, chance in enumerate(drafter.next[drafts].tolist()):
        if chance and not keeps(token):
            yield drafts, chance
        elif chance:
            for chain, rest in drawn_drafts(drafter, most, goes_on, keeps, (*drafts, token)):
                yield chain, chance * rest


def round_s_text(model, chains, drafter, length):
    """Probability of each text of `length` tokens: a round over each chain of drafts, every choice of it, then plain sampling."""
    begun = defaultdict(float)
    for drafts, weight in chains:
        proposed = drafter.rows(drafts, len(drafts)) if drafter and drafts else None
        rows = chances(torch.tensor(drafts, dtype=torch.long), proposed, model.rows(drafts, len(drafts) + 1)).tolist()
        for chosen in product(*([token for token in TOKENS if row[token]] for row in rows)):
            tokens, _ = verify_greedy(torch.tensor(drafts, dtype=torch.long), torch.tensor(chosen))
            begun[tuple(tokens)] += weight * math.prod(row[token] for row, token in zip(rows, chosen, strict=True))
    return {
        text: sum(
            begun[text[:size]] * math.prod(float(model.next[text[:place]][text[place]]) for place in range(size, length))
            for size in range(1, length + 1)
            if text[:size] in begun
        )
        for text in product(TOKENS, repeat=length)
    }


def largest_error(found, expected):
    return max(abs(found[text] - expected[text]) for text in expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_every_chain_of_drafts_gives_plain_sampling_s_distribution(length, seed):
    model, drafter = Speaker(seed, length), Speaker(100 + seed, length)
    found = round_s_text(model, drawn_drafts(drafter, length), drafter, length + 1)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    assert largest_error(found, model.says(length + 1)) < 1e-12


@pytest.mark.parametrize("drafts", [(), (1,), (0, 0), (2, 1, 0, 2)])
def test_drafts_that_are_certain_give_it_too(drafts):
    """As those of prompt lookup: nothing was drawn, so the draft itself is all of q."""
    model = Speaker(7, 4)
    assert largest_error(round_s_text(model, [(drafts, 1.0)], None, 5), model.says(5)) < 1e-12


def test_a_certain_draft_is_the_limit_of_one_that_was_drawn():
    wanted, drafts = Speaker(8, 1).rows((1,), 2), torch.tensor([1])
    certain = torch.nn.functional.one_hot(drafts, VOCABULARY).double()
    torch.testing.assert_close(chances(drafts, certain, wanted), chances(drafts, None, wanted), atol=1e-15, rtol=0)


def test_drafting_may_stop_for_what_was_drafted():
    """At the end of text, or where the distribution that comes next is too flat."""
    model, drafter = Speaker(3, 4), Speaker(103, 4)

    def goes_on(drafts):
        return 0 not in drafts and float(drafter.next[drafts].max()) > 0.5

    chains = list(drawn_drafts(drafter, 4, goes_on))
    assert {len(drafts) for drafts, _ in chains} >= {1, 2, 4}
    assert largest_error(round_s_text(model, chains, drafter, 5), model.says(5)) < 1e-12


def test_a_draft_that_is_dropped_for_what_it_is_would_change_the_distribution():
    """Why a drafter draws after the policy has spoken."""
    model, drafter = Speaker(3, 4), Speaker(103, 4)
    found = round_s_text(model, drawn_drafts(drafter, 4, keeps=lambda token: token != 2), drafter, 5)
    assert sum(found.values()) == pytest.approx(1)
    assert largest_error(found, model.says(5)) > 1e-3


@pytest.mark.parametrize("rule", BROKEN)
def test_enumeration_sees_a_broken_rule(monkeypatch, rule):
    monkeypatch.setattr(verify, *BROKEN[rule])
    model, drafter = Speaker(3, 2), Speaker(103, 2)
    assert largest_error(round_s_text(model, drawn_drafts(drafter, 2), drafter, 3), model.says(3)) > 1e-3


# --- on real models

WORDS, LIMIT = 2, 4
TEXTS = 10_000  # drawn of each setting
SETTINGS = [
    ("ssd", Fixed(1)),
    ("ssd", Fixed(2)),
    ("ssd", Confidence(2, 0.52)),
    ("mlp", Fixed(2)),
    ("transformer", Fixed(2)),
    ("transformer", Confidence(2, 0.52)),
    ("lookup", Fixed(2)),
]
FALSE_ALARM = 1e-6 / (len(tiny.FAMILIES) * len(SETTINGS))


class Tree:
    """All ways in which the draws of an act can fall, each run once: what a draw is made from, and what the act returns in the end.

    Drawing from the tree is drawing as the act does, thousands at a time.
    """

    def __init__(self, act):
        self.weights, self.ends = {}, {}
        todo = [()]
        while todo:
            self._follow, self._path = todo.pop(), ()
            with mock.patch.object(verify, "draw", self._draw), mock.patch.object(choices_of, "draw", self._draw):
                trace = act()
            self.ends[self._path] = trace
            for size in range(len(self._follow), len(self._path)):
                path = self._path[:size]
                todo += [(*path, token) for token in self.weights[path].nonzero()[:, 0].tolist() if token != self._path[size]]

    def _draw(self, weights, generator):
        """Each row is a draw: the one to follow, or the first that can be."""
        for row in weights:
            self.weights[self._path] = row
            place = len(self._path)
            self._path += (self._follow[place] if place < len(self._follow) else int(row.nonzero()[0]),)
        return torch.tensor(self._path[-len(weights) :])

    def chances(self):
        """Each trace with its probability."""
        for path, trace in self.ends.items():
            rows = (self.weights[path[:place]] for place in range(len(path)))
            yield trace, math.prod(float(row[token] / row.sum()) for row, token in zip(rows, path, strict=True))

    def says(self):
        found = defaultdict(float)
        for trace, chance in self.chances():
            found[tuple(trace.tokens)] += chance
        return found

    def drawn(self, texts, generator):
        """How often each text is drawn."""
        counts, todo = Counter(), [((), texts)]
        while todo:
            path, many = todo.pop()
            if path in self.ends:
                counts[tuple(self.ends[path].tokens)] += many
            else:
                can = self.weights[path].nonzero()[:, 0]
                picked = draw(self.weights[path][can].expand(many, -1), generator).bincount(minlength=len(can))
                todo += [((*path, int(token)), int(count)) for token, count in zip(can, picked, strict=True) if count]
        return counts


def false_alarm(counts: Counter, expected: dict) -> float:
    """How likely it is, at most, that texts of the distribution `expected` are as far from it as `counts` are.

    A G test with a bound in place of the chi-square approximation, so that it holds for any number of texts and far out in the tail:
    Agrawal, arXiv 1904.02291, of the relative entropy of counts.
    """
    texts, freedom = sum(counts.values()), len(expected) - 1
    if counts.keys() - expected.keys():
        return 0.0
    entropy = sum(count * math.log(count / texts / expected[text]) for text, count in counts.items())
    return 1.0 if entropy <= freedom else math.exp(freedom - entropy + freedom * math.log(entropy / freedom))


class FewWords:
    """A model whose head says two words of the prompt alone, so that every text can be counted."""

    def __init__(self, folder, family):
        self.target = tiny.load(tiny.save_checkpoint(folder, family, layers=3, seed=3))
        inputs, decoder = self.target.prepare(tiny.examples(1)[0]), self.target.decoder
        self.words = list(dict.fromkeys(inputs["input_ids"][0].tolist()))[-WORDS:]
        others = torch.full((len(decoder.head_weight),), -torch.inf, dtype=decoder.dtype)
        others[self.words] = 0
        whole = decoder.head
        decoder.head = lambda hidden: whole(hidden) + others
        self.inputs, self.prefix = inputs, self.target.prefill(inputs, LIMIT, {1})
        # As far as the words are apart: neither as good as certain nor as good as equal.
        self.shape = Sampling(temperature=float(self.prefix.logits[0, self.words].std()))

    @cached_property
    def exact(self):
        """Plain sampling's distribution, from the logits of one text after the other."""
        found = {}
        for text in product(self.words, repeat=LIMIT):
            rows = probabilities(Replay(self.target, self.inputs, list(text)).logits, self.shape)
            found[text] = math.prod(float(rows[place, token]) for place, token in enumerate(text))
        return found

    def tree(self, method, policy):
        return self.of(speculative, self.drafter(method), policy=policy)

    def of(self, loop, *drafter, **settings):
        decoder, ends = self.target.decoder, {"limit": LIMIT, "end_tokens": frozenset()}
        choice = Sampled(self.shape, 0, decoder.device)
        return Tree(lambda: loop.decode(decoder, *drafter, self.prefix, choice, **ends, **settings))

    def drafter(self, method):
        if method in ("ssd", "lookup"):
            return EarlyExit(1) if method == "ssd" else PromptLookup()
        drafter = tiny.drafter(self.target, method, 1)
        if method == "mlp":  # one that says something else
            torch.nn.init.normal_(drafter.network.layers[-1].down.weight, std=2)
        return drafter


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def model(request, tmp_path_factory):
    return FewWords(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize(("method", "policy"), SETTINGS, ids=lambda value: getattr(value, "name", value))
def test_texts_are_drawn_from_plain_sampling_s_distribution(model, method, policy):
    """By the real loop, with its cache, all ways that it can go: exactly; and as they are drawn, within what chance allows."""
    tree, expected = model.tree(method, policy), model.exact
    assert largest_error(tree.says(), expected) < 1e-12
    assert false_alarm(tree.drawn(TEXTS, torch.Generator().manual_seed(1)), expected) > FALSE_ALARM
    drafted = sum(chance * drafts for trace, chance in tree.chances() for _, drafts, _ in trace.passes)
    stood = sum(chance * accepted for trace, chance in tree.chances() for _, _, accepted in trace.passes)
    assert 0 < stood < drafted  # else nothing was shown


def test_plain_sampling_is_drawn_from_its_own_distribution(model):
    tree, expected = model.of(autoregressive), model.exact
    assert largest_error(tree.says(), expected) < 1e-12
    assert false_alarm(tree.drawn(TEXTS, torch.Generator().manual_seed(2)), expected) > FALSE_ALARM


def assert_seen(model, tree):
    expected = model.exact
    assert largest_error(tree.says(), expected) > 1e-3
    assert false_alarm(tree.drawn(TEXTS, torch.Generator().manual_seed(3)), expected) < FALSE_ALARM


@pytest.mark.parametrize("rule", BROKEN)
def test_real_texts_show_a_broken_rule(model, monkeypatch, rule):
    monkeypatch.setattr(verify, *BROKEN[rule])
    assert_seen(model, model.tree("mlp", Fixed(2)))


def test_real_texts_show_that_what_was_looked_up_was_believed(model, monkeypatch):
    def gullible(drafts, proposed, wanted, generator):
        return torch.cat((drafts, verify.draw(wanted[-1:], generator)))

    monkeypatch.setattr(choices_of, "sampled_choices", gullible)
    assert_seen(model, model.tree("lookup", Fixed(2)))


def test_drafts_that_nobody_verifies_are_drawn_from_another_distribution(model):
    assert_seen(model, model.of(exit_only, model.drafter("mlp")))


# --- the draws themselves


def test_a_text_that_is_decoded_again_is_the_same_and_another_seed_says_another(model):
    def say(seed, policy=None):
        choice, ends = Sampled(model.shape, seed, model.target.decoder.device), {"limit": 40, "end_tokens": frozenset()}
        prefix = model.target.prefill(model.inputs, 40, {1})
        if policy is None:
            return [autoregressive.decode(model.target.decoder, prefix, choice, **ends).tokens for _ in range(2)]
        return [speculative.decode(model.target.decoder, EarlyExit(1), prefix, choice, policy=policy, **ends).tokens for _ in range(2)]

    for policy in (None, Fixed(3)):
        first, again = say(1, policy)
        assert first == again and first not in say(2, policy)


def test_without_temperature_the_draw_is_the_greedy_choice(model):
    prefix = model.target.prefill(model.inputs, 20, {1})
    cold, ends = Sampled(Sampling(1e-6), 1, model.target.decoder.device), {"limit": 20, "end_tokens": frozenset()}
    expected = autoregressive.decode(model.target.decoder, prefix, **ends).tokens
    assert autoregressive.decode(model.target.decoder, prefix, cold, **ends).tokens == expected
    for method in ("ssd", "mlp", "lookup"):
        found = speculative.decode(model.target.decoder, model.drafter(method), prefix, cold, policy=Fixed(3), **ends)
        assert found.tokens == expected
