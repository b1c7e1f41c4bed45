"""Training of one member on what a fold leaves it."""

import numpy as np
import torch
from torch import nn

from network import BANDS, Features, Member, centred

CROP = 160
STEPS = 400
BATCH = 32


def bands_of(windows: np.ndarray) -> np.ndarray:
    """Features before centring, computed once for all folds."""
    features = Features()
    with torch.no_grad():
        parts = [features(torch.tensor(windows[at:at + 64], dtype=torch.float32) / 32768)
                 .to(torch.float16).numpy() for at in range(0, len(windows), 64)]
    return np.concatenate(parts)


def weights_of(group: np.ndarray, voice: np.ndarray, spoof: np.ndarray) -> np.ndarray:
    """Each class weighs the same, in it each speaker or engine, and in that each voice."""
    weight = np.zeros(len(group))
    for kind in (False, True):
        groups = np.unique(group[spoof == kind])
        for name in groups:
            voices = np.unique(voice[(group == name) & (spoof == kind)])
            for one in voices:
                chosen = (group == name) & (voice == one) & (spoof == kind)
                weight[chosen] = 1 / (len(groups) * len(voices) * chosen.sum())
    return weight / weight.sum()


def crop(bands: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Two of the four seconds, with the loudest frame among them: a padded tail says nothing."""
    found = torch.empty(len(bands), BANDS, CROP)
    loudest = bands.logsumexp(dim=1).argmax(dim=1).tolist()
    for at, one in enumerate(bands):
        first = max(0, loudest[at] - CROP + 1)
        start = random.integers(first, min(loudest[at], one.shape[1] - CROP) + 1)
        found[at] = one[:, start:start + CROP]
    return found


def masked(features: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """A band and the top are missing at times, as after codecs."""
    for one in features:
        if random.random() < 0.5:
            width = random.integers(2, 14)
            start = random.integers(0, BANDS - width)
            one[start:start + width] = 0
        if random.random() < 0.35:
            one[random.integers(26, BANDS):] = 0
    return features


def fit(bands: np.ndarray, spoof: np.ndarray, weight: np.ndarray, seed: int) -> Member:
    """Fixed seeds and one thread: the same data gives the same member."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    member = Member()
    optimizer = torch.optim.AdamW(member.parameters(), lr=3e-3, weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    lost = nn.BCEWithLogitsLoss()
    running = 0.0
    for step in range(1, STEPS + 1):
        chosen = random.choice(len(bands), BATCH, p=weight)
        features, speech = centred(crop(torch.tensor(bands[chosen], dtype=torch.float32), random))
        target = torch.tensor(spoof[chosen], dtype=torch.float32) * 0.9 + 0.05
        loss = lost(member(masked(features, random), speech), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        running += 0.02 * (loss.item() - running) if step > 1 else loss.item()
        if step % 100 == 0:
            print(f"  step {step}: loss {running:.3f}", flush=True)
    return member.eval()


def logits_of(member: Member, bands: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        parts = [member(*centred(torch.tensor(bands[at:at + 64], dtype=torch.float32))).numpy()
                 for at in range(0, len(bands), 64)]
    return np.concatenate(parts) if parts else np.zeros(0)
