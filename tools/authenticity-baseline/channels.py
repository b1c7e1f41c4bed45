"""The same rooms, band limits, noises, levels and codecs for both classes."""

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from audio import RATE, through_codec

WINDOW = 64_000

# What ffmpeg is told, its container, and how often.
CODECS = {
    "none": ([], "", 0.30),
    "mp3-32k": (["-c:a", "libmp3lame", "-b:a", "32k"], "mp3", 0.08),
    "mp3-64k": (["-c:a", "libmp3lame", "-b:a", "64k"], "mp3", 0.12),
    "opus-12k": (["-c:a", "libopus", "-b:a", "12k"], "ogg", 0.07),
    "opus-24k": (["-c:a", "libopus", "-b:a", "24k"], "ogg", 0.13),
    "aac-32k": (["-c:a", "aac", "-b:a", "32k"], "adts", 0.08),
    "vorbis": (["-c:a", "libvorbis", "-q:a", "2"], "ogg", 0.07),
    "gsm": (["-ar", "8000", "-c:a", "libgsm"], "gsm", 0.07),
    "alaw": (["-ar", "8000", "-c:a", "pcm_alaw"], "alaw", 0.08),
}


def choose_codec(random: np.random.Generator) -> str:
    return str(random.choice(list(CODECS), p=[share for _, _, share in CODECS.values()]))


def through(samples: np.ndarray, codec: str) -> np.ndarray:
    encode, container, _ = CODECS[codec]
    return samples if codec == "none" else through_codec(samples, encode, container)


def through_g722(samples: np.ndarray) -> np.ndarray:
    """The prompts were published so; everything else goes through it as well."""
    return through_codec(samples, ["-c:a", "g722"], "g722")


def disturb(window: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Room, band limit, noise and level of one window. There is always some noise."""
    if random.random() < 0.35:
        window = in_room(window, random)
    if random.random() < 0.4:
        window = filtered(window, "lowpass", random.uniform(3_300, 7_600))
    if random.random() < 0.3:
        window = filtered(window, "highpass", random.uniform(50, 320))
    speech = np.sqrt(np.mean(np.square(window)) + 1e-12)
    quiet = random.random() < 0.5
    ratio_db = random.uniform(40, 65) if quiet else random.uniform(12, 40)
    window = window + noise(len(window), random) * speech * 10 ** (-ratio_db / 20)
    level = 10 ** (random.uniform(-30, -1) / 20)
    window = window / (np.abs(window).max() + 1e-9) * level
    if random.random() < 0.05:
        window = np.clip(window, -0.5 * level, 0.5 * level)
    return window.astype(np.float32)


def noise(length: int, random: np.random.Generator) -> np.ndarray:
    """White to brown, with an RMS of 1."""
    white = np.fft.rfft(random.standard_normal(length))
    frequency = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 40)
    shaped = np.fft.irfft(white / frequency ** random.uniform(0, 1), length)
    return shaped / np.sqrt(np.mean(np.square(shaped)))


def in_room(window: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A decaying noise as the room's response, 5 to 25 dB below the direct sound."""
    decay_s = random.uniform(0.08, 0.5)
    length = int(decay_s * RATE)
    tail = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    tail[: RATE // 500] = 0
    tail *= 10 ** (-random.uniform(5, 25) / 20) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1
    return fftconvolve(window, tail)[:len(window)]


def filtered(window: np.ndarray, kind: str, hertz: float) -> np.ndarray:
    return sosfilt(butter(4, hertz, kind, fs=RATE, output="sos"), window)
