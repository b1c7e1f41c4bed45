"""Equal error rates with intervals, and the threshold."""

from dataclasses import dataclass

import numpy as np

DRAWS = 1_000


@dataclass(frozen=True)
class Rate:
    """A share of windows with the 95 % interval, all from 0 to 1."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%}–{self.high:.1%})".replace("%", " %")


def equal_error_rate(genuine: np.ndarray, spoof: np.ndarray) -> float:
    """Where as many genuine windows score above a threshold as spoofs below it."""
    scores = np.concatenate([genuine, spoof])
    order = np.argsort(scores, kind="stable")
    is_spoof = np.concatenate([np.zeros(len(genuine)), np.ones(len(spoof))])[order]
    missed = np.cumsum(is_spoof) / len(spoof)
    alarms = 1 - np.cumsum(1 - is_spoof) / len(genuine)
    at = int(np.argmin(np.abs(missed - alarms)))
    return float((missed[at] + alarms[at]) / 2)


def clusters(scores: np.ndarray, names: np.ndarray) -> list[np.ndarray]:
    return [scores[names == name] for name in np.unique(names)]


def draw(parts: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Clusters with replacement, then windows of each with replacement."""
    chosen = [parts[at] for at in random.integers(0, len(parts), len(parts))]
    return np.concatenate([one[random.integers(0, len(one), len(one))] for one in chosen])


def interval(drawn: list[float]) -> tuple[float, float]:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def rate_between(genuine, spoof) -> Rate:
    """Of (scores, clusters) of either class: people on one side, voices or engines on the other."""
    random = np.random.default_rng(14)
    people, machines = clusters(*genuine), clusters(*spoof)
    drawn = [equal_error_rate(draw(people, random), draw(machines, random)) for _ in range(DRAWS)]
    return Rate(equal_error_rate(genuine[0], spoof[0]), *interval(drawn))


def share_above(scores: np.ndarray, names: np.ndarray, threshold: float) -> Rate:
    random = np.random.default_rng(14)
    parts = clusters(scores, names)
    drawn = [float(np.mean(draw(parts, random) > threshold)) for _ in range(DRAWS)]
    return Rate(float(np.mean(scores > threshold)), *interval(drawn))


def calibrate(genuine: np.ndarray, spoof: np.ndarray) -> tuple[float, float]:
    """Scale and shift that make logits of strangers probabilities, the classes weighing the same."""
    logits = np.concatenate([genuine, spoof])
    target = np.concatenate([np.zeros(len(genuine)), np.ones(len(spoof))])
    weight = np.concatenate([np.full(len(genuine), 0.5 / len(genuine)),
                             np.full(len(spoof), 0.5 / len(spoof))])
    scale, shift = 1.0, 0.0
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(scale * logits + shift)))
        columns = np.stack([logits, np.ones(len(logits))])
        slope = columns @ (weight * (chance - target))
        curve = (columns * weight * chance * (1 - chance)) @ columns.T + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        scale, shift = scale - step[0], shift - step[1]
    return float(scale), float(shift)


def threshold_of(genuine: np.ndarray, spoof: np.ndarray) -> float:
    """The probability at the equal error rate, to two digits."""
    candidates = np.arange(0.05, 0.96, 0.01)
    gaps = [abs(np.mean(genuine > at) - np.mean(spoof <= at)) for at in candidates]
    return round(float(candidates[int(np.argmin(gaps))]), 2)


def margin_of(genuine: np.ndarray, spoof: np.ndarray, threshold: float) -> float:
    """The smallest margin outside of which at most 10 % of either class are wrong; at most 0.3."""
    for margin in np.arange(0.05, 0.301, 0.01):
        alarms = np.mean(genuine > threshold + margin)
        missed = np.mean(spoof < threshold - margin)
        if max(alarms, missed) <= 0.1:
            return round(float(margin), 2)
    return 0.3
