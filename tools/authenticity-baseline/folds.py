"""Five folds: each holds out one speaker and one engine, whole; and what each fold measures."""

from dataclasses import dataclass

import numpy as np

# Festival's Russian voice is cut from the recordings of nsh: they are always on the same side.
FOLDS = [("nsh", "festival"), ("allison", "flite"), ("june", "dittli"), ("carlo", "kokoro"),
         ("ivrvoice", "espeak")]


@dataclass(frozen=True)
class Data:
    """What each window is, beside its samples or features."""

    spoof: np.ndarray
    group: np.ndarray
    voice: np.ndarray
    held_out: np.ndarray
    codec: np.ndarray

    @property
    def stranger(self) -> np.ndarray:
        return self.group == "stranger"

    def trained_in(self, fold: tuple[str, str]) -> np.ndarray:
        """The windows that a fold's model learns from."""
        return ~np.isin(self.group, fold) & ~self.held_out & ~self.stranger

    def unseen(self, fold: tuple[str, str]) -> np.ndarray:
        """The held-out speaker and the held-out engine."""
        return np.isin(self.group, fold)

    def known(self, fold: tuple[str, str]) -> np.ndarray:
        """Sentences that no model heard, by speakers and engines that this one did hear."""
        return ~np.isin(self.group, fold) & self.held_out & ~self.stranger


def genuine(data: Data, scores: np.ndarray, chosen: np.ndarray):
    """Scores of people, and who each is."""
    chosen = chosen & ~data.spoof
    return scores[chosen], data.group[chosen]


def spoofs(data: Data, scores: np.ndarray, chosen: np.ndarray):
    """Scores of synthetic speech, and the voice of each."""
    chosen = chosen & data.spoof
    return scores[chosen], data.voice[chosen]


def pooled(data: Data, by_fold: list[np.ndarray], is_spoof: bool, chosen=None):
    """Each window's score by the fold that held its speaker or engine out, and that one's name."""
    scores, names = [], []
    for fold, found in zip(FOLDS, by_fold):
        rows = data.unseen(fold) & (data.spoof == is_spoof)
        rows = rows if chosen is None else rows & chosen
        scores.append(found[rows])
        names.append(data.group[rows])
    return np.concatenate(scores), np.concatenate(names)
