"""The simplest detectors, for comparison on the same split: a threshold, and mixtures of LFCCs."""

import numpy as np
from scipy.fft import dct
from sklearn.mixture import GaussianMixture

from network import SILENCE

COEFFICIENTS = 20
FRAMES_PER_CLASS = 30_000
COMPONENTS = 16


def speech_frames(bands: np.ndarray) -> np.ndarray:
    """Log powers [frames, bands] of the frames that are not silence."""
    one = bands.astype(np.float32)
    energy = np.log(np.exp(one).sum(axis=0))
    return one[:, energy > energy.max() - SILENCE].T


def flatness(bands: np.ndarray) -> np.ndarray:
    """Mean spectral flatness of speech, one number a window, in nepers below 0."""
    found = []
    for one in bands:
        frames = speech_frames(one)
        found.append(np.mean(frames.mean(axis=1) - np.log(np.exp(frames).mean(axis=1))))
    return np.array(found)


def flatness_scores(value: np.ndarray, spoof: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Higher is spoof; the training data says which direction that is."""
    down = value[train & spoof].mean() < value[train & ~spoof].mean()
    return -value if down else value


def coefficients(bands: np.ndarray) -> list[np.ndarray]:
    """LFCCs and their slopes over two frames, of speech."""
    found = []
    for one in bands:
        frames = dct(speech_frames(one), norm="ortho", axis=1)[:, :COEFFICIENTS]
        around = np.pad(frames, ((2, 2), (0, 0)), "edge")
        found.append(np.concatenate([frames, around[4:] - around[:-4]], axis=1))
    return found


def mixture_scores(lfcc: list[np.ndarray], spoof: np.ndarray, weight: np.ndarray,
                   wanted: np.ndarray, seed: int) -> np.ndarray:
    """Mean log-likelihood ratio of two mixtures, fitted where `weight` is not zero.

    Only the wanted windows are scored.
    """
    random = np.random.default_rng(seed)
    models = []
    for kind in (True, False):
        share = np.where(spoof == kind, weight, 0)
        chosen = random.choice(len(lfcc), FRAMES_PER_CLASS // 60, p=share / share.sum())
        frames = np.concatenate([lfcc[at][random.integers(0, len(lfcc[at]), 60)] for at in chosen])
        models.append(GaussianMixture(COMPONENTS, covariance_type="diag", random_state=seed,
                                      max_iter=40, reg_covar=1e-3, tol=1e-2).fit(frames))
    scores = np.full(len(lfcc), np.nan)
    for at in np.flatnonzero(wanted):
        scores[at] = models[0].score(lfcc[at]) - models[1].score(lfcc[at])
    return scores
