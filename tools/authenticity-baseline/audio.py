"""Reading recordings with ffmpeg, and the cutting of silence."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

RATE = 16_000
BATCH = 40


def decode(files: list[Path]) -> list[np.ndarray]:
    """Mono samples around ±1 at 16 kHz; files of any format and rate that ffmpeg knows."""
    decoded = []
    for start in range(0, len(files), BATCH):
        decoded += decode_batch(files[start:start + BATCH])
    return decoded


def decode_batch(files: list[Path]) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1"]
        for file in files:
            command += (["-f", "g722"] if file.suffix == ".g722" else []) + ["-i", str(file)]
        for at in range(len(files)):
            command += ["-map", f"{at}:a", "-ac", "1", "-ar", str(RATE), "-f", "s16le",
                        f"{folder}/{at}"]
        subprocess.run(command, check=True)
        return [np.fromfile(f"{folder}/{at}", "<i2").astype(np.float32) / 32768
                for at in range(len(files))]


def through_codec(samples: np.ndarray, encode: list[str], container: str) -> np.ndarray:
    """Encodes and decodes; the result is as long as the input. Delays of the codec remain."""
    common = ["ffmpeg", "-nostdin", "-v", "error", "-threads", "1"]
    pcm = ["-f", "s16le", "-ar", str(RATE), "-ac", "1"]
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    coded = subprocess.run([*common, *pcm, "-i", "pipe:0", *encode, "-f", container, "pipe:1"],
                           input=data, stdout=subprocess.PIPE, check=True).stdout
    # A file without a header does not tell its rate.
    rate = ["-ar", encode[encode.index("-ar") + 1]] if container in ("alaw", "mulaw") else []
    reader = "aac" if container == "adts" else container
    plain = subprocess.run([*common, "-f", reader, *rate, "-i", "pipe:0", *pcm, "pipe:1"],
                           input=coded, stdout=subprocess.PIPE, check=True).stdout
    found = np.frombuffer(plain, "<i2").astype(np.float32) / 32768
    return np.pad(found, (0, max(0, len(samples) - len(found))))[:len(samples)]


def trim(samples: np.ndarray) -> np.ndarray:
    """Cuts the silence around, so that it says nothing about the class, and sets the peak."""
    frame = RATE // 50
    count = len(samples) // frame
    if count == 0:
        return samples[:0]
    power = np.square(samples[:count * frame].reshape(count, frame)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 1e-4)
    if power.max() < 1e-9 or len(loud) == 0:
        return samples[:0]
    start, end = max(0, loud[0] - 2) * frame, (loud[-1] + 3) * frame
    kept = samples[start:end] - samples[start:end].mean()
    return kept / max(float(np.abs(kept).max()), 1e-6) * 0.5
