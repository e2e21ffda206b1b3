"""How likely a draft stands, given the drafter's own probability and the length of the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

LEAST, MOST = 1e-4, 1 - 1e-4  # probabilities are kept off 0 and 1, where their log-odds end
STEPS, RIDGE = 30, 1e-2
QUANTILES = (np.arange(10) + 0.5) / 10
TOKENS = 100.0  # contexts are counted in hundreds, so that one ridge suits both


@dataclass(frozen=True)
class Calibration:
    """Logistic regression: log-odds = `constant` + `slope` x log-odds of the drafter's probability + `by_context` x tokens / 100.

    `chances` are evenly spaced quantiles of what it gives the drafts that it was fitted on.
    """

    constant: float
    slope: float
    by_context: float
    chances: tuple[float, ...]

    def chance(self, confidence: float, context: int) -> float:
        odds = self.constant + self.slope * _log_odds(confidence) + self.by_context * context / TOKENS
        return 1 / (1 + exp(-max(-30.0, min(30.0, odds))))

    @staticmethod
    def fit(confidences: Sequence[float], contexts: Sequence[int], stood: Sequence[bool]) -> Calibration:
        """By Newton's method, with a ridge that holds slopes near (1, 0), as of a drafter that knows what it knows; needs one draft."""
        inputs = np.column_stack([np.ones(len(stood)), [_log_odds(p) for p in confidences], np.array(contexts) / TOKENS])
        outcome, prior = np.array(stood, dtype=np.float64), np.array([0.0, 1.0, 0.0])
        weights = np.zeros(3)
        for _ in range(STEPS):
            chances = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
            gradient = inputs.T @ (chances - outcome) + RIDGE * len(stood) * (weights - prior)
            curvature = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + RIDGE * len(stood) * np.eye(3)
            weights = weights - np.linalg.solve(curvature, gradient)
        quantiles = np.quantile(1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30))), QUANTILES)
        return Calibration(*map(float, weights), tuple(map(float, quantiles)))


def _log_odds(probability: float) -> float:
    kept = min(MOST, max(LEAST, probability))
    return log(kept / (1 - kept))
