"""The detector: features with fixed kernels, and small networks of which the mean is the logit."""

import math

import numpy as np
import torch
from torch import nn

RATE = 16_000
FRAME = 400
HOP = 200
BANDS = 64
TOP_HZ = 7_900
# Frames more than this below the loudest one are silence: 35 dB, in nepers of power.
SILENCE = 3.5 * math.log(10)


def dft_kernels() -> torch.Tensor:
    """A Hann window times cosines and sines, as the weights of a convolution."""
    time = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (time + 0.5) / FRAME)
    angle = 2 * np.pi * np.outer(np.arange(FRAME // 2 + 1), time) / FRAME
    kernels = np.concatenate([np.cos(angle), np.sin(angle)]) * window / window.sum() * 2
    return torch.tensor(kernels[:, None, :], dtype=torch.float32)


def filter_bank() -> torch.Tensor:
    """Triangles of equal width on a linear scale: artefacts of synthesis do not follow the ear."""
    centres = np.linspace(0, TOP_HZ, BANDS + 2)
    hertz = np.arange(FRAME // 2 + 1) * RATE / FRAME
    rising = (hertz[None] - centres[:-2, None]) / (centres[1] - centres[0])
    falling = (centres[2:, None] - hertz[None]) / (centres[1] - centres[0])
    return torch.tensor(np.clip(np.minimum(rising, falling), 0, None), dtype=torch.float32)


class Features(nn.Module):
    """Waveform [batch, samples] to log powers of linear bands [batch, bands, frames]."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernels", dft_kernels())
        self.register_buffer("bank", filter_bank())

    def forward(self, waveform):
        peak = waveform.abs().amax(dim=1, keepdim=True)
        scaled = waveform / (peak + 1e-5)
        parts = nn.functional.conv1d(scaled[:, None], self.kernels, stride=HOP)
        real, imaginary = parts[:, : FRAME // 2 + 1], parts[:, FRAME // 2 + 1:]
        return torch.log(torch.matmul(self.bank, real * real + imaginary * imaginary) + 1e-8)


def centred(bands):
    """Subtracts each band's mean over speech, and blanks silence. Also returns what is speech.

    A channel's constant colour, the level and zero padding then change nothing.
    """
    energy = torch.logsumexp(bands, dim=1, keepdim=True)
    speech = (energy > energy.amax(dim=2, keepdim=True) - SILENCE).to(bands.dtype)
    mean = (bands * speech).sum(dim=2, keepdim=True) / (speech.sum(dim=2, keepdim=True) + 1e-3)
    return (bands - mean) * speech, speech


class Member(nn.Module):
    """Centred bands to a logit: four convolutions, then mean and deviation over speech."""

    def __init__(self, width: int = 16):
        super().__init__()
        channels = [1, width, width * 3 // 2, width * 2, width * 2]
        strides = [(2, 2), (2, 2), (2, 2), (2, 1)]
        layers = []
        for before, after, stride in zip(channels, channels[1:], strides):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after),
                       nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(channels[-1] * (BANDS // 16) * 2, 1)

    def forward(self, features, speech):
        found = self.layers(features[:, None] / 3)
        found = found.flatten(1, 2)
        # Three strides of two in time, as the frames of `speech` are thinned out here.
        weight = speech[:, :, ::8][:, :, : found.shape[2]]
        total = weight.sum(dim=2) + 1e-3
        mean = (found * weight).sum(dim=2) / total
        spread = ((found - mean[:, :, None]) ** 2 * weight).sum(dim=2) / total
        return self.out(self.drop(torch.cat([mean, torch.sqrt(spread + 1e-5)], dim=1)))[:, 0]


class Detector(nn.Module):
    """What ships: waveform [batch, 64000] to logits [batch, 1], calibrated by scale and shift."""

    def __init__(self, members, scale: float, shift: float):
        super().__init__()
        self.scale, self.shift = scale, shift
        self.features = Features()
        self.members = nn.ModuleList(members)

    def forward(self, waveform):
        features, speech = centred(self.features(waveform))
        logits = [member(features, speech) for member in self.members]
        return torch.stack(logits, dim=1).mean(dim=1, keepdim=True) * self.scale + self.shift
