"""Windows of 64,000 samples: utterances in a row, disturbed, encoded, and some zero-padded."""

import json
import zlib
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

import speak
from audio import RATE, decode, trim
from channels import WINDOW, choose_codec, disturb, through, through_g722
from sources import genuine_files, is_held_out, stranger_files

GENUINE_WINDOWS = {"allison": 360, "june": 300, "carlo": 300, "ivrvoice": 300, "nsh": 300}
SPOOF_WINDOWS = {"espeak": 300, "flite": 300, "festival": 300, "dittli": 300, "kokoro": 100}
STRANGER_WINDOWS = 10
PER_STREAM = 12
# Of 100 windows of either class, about 10 never went through G.722: half of one speaker of five.
PLAIN_SHARE = {"nsh": 0.5, "spoof": 0.1}


@dataclass(frozen=True)
class Source:
    """One voice: a person, or a voice of an engine."""

    is_spoof: bool
    group: str  # the speaker, or the engine
    voice: str
    clips: list[tuple[str, Path]]
    windows: int


def sources_of(work: Path, root: Path) -> list[Source]:
    found = [Source(False, name, name, clips, GENUINE_WINDOWS[name])
             for name, clips in genuine_files(root).items()]
    for voice in speak.VOICES:
        folder = voice.folder(work)
        names = json.loads((folder / "names.json").read_text())
        clips = [(names[file.stem], file) for file in sorted(folder.glob("*.wav"))
                 if file.stem in names]
        total = sum(other.sentences for other in speak.VOICES if other.engine == voice.engine)
        count = round(SPOOF_WINDOWS[voice.engine] * voice.sentences / total)
        found.append(Source(True, voice.engine, voice.name, clips, count))
    return found


def load_utterances(source: Source) -> list[tuple[str, np.ndarray]]:
    """Trimmed pieces of at most 4 s, most of them after G.722."""
    names = [name for name, _ in source.clips]
    clips = [trim(samples) for samples in decode([file for _, file in source.clips])]
    random = np.random.default_rng(zlib.crc32(f"g722 {source.voice}".encode()))
    if not source.clips[0][1].suffix == ".g722":
        coded = split_like(through_g722(np.concatenate(clips)), clips)
        plain = PLAIN_SHARE["spoof" if source.is_spoof else "nsh"]
        clips = [one if random.random() < plain else other for one, other in zip(clips, coded)]
    pieces = []
    for name, clip in zip(names, clips):
        for start in range(0, len(clip), WINDOW):
            if len(clip) - start > RATE // 2:
                pieces.append((name, clip[start:start + WINDOW]))
    return pieces


def split_like(joined: np.ndarray, clips: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(joined, np.cumsum([len(clip) for clip in clips])[:-1])


def compose(pieces: list[np.ndarray], random: np.random.Generator, next_at: int):
    """One window from the next pieces in turn. Returns it and how many it took."""
    window = np.zeros(WINDOW, np.float32)
    at, taken = int(random.uniform(0, 0.5) * RATE), 0
    alone = random.random() < 0.15
    while at < WINDOW - RATE // 4:
        piece = pieces[(next_at + taken) % len(pieces)][: WINDOW - at]
        window[at:at + len(piece)] += piece * random.uniform(0.6, 1)
        at += len(piece) + int(random.uniform(0.08, 0.6) * RATE)
        taken += 1
        if alone:
            break
    return window, taken


def write_windows(source: Source, file: Path) -> None:
    """The windows of one voice: of the sentences that models train on, and of the held-out ones."""
    utterances = load_utterances(source)
    parts = []
    for held_out in (False, True):
        pieces = [clip for name, clip in utterances if is_held_out(name) == held_out]
        parts.append((held_out, *make_windows(source, held_out, pieces)))
    save(source, file, parts)


def make_windows(source: Source, held_out: bool, pieces: list[np.ndarray]):
    random = np.random.default_rng(zlib.crc32(f"{source.voice} {held_out}".encode()))
    if len(pieces) == 0:
        return [], []
    share = 0.2 if held_out else 0.8
    pieces = [pieces[at] for at in random.permutation(len(pieces))]
    made, codecs, next_at = [], [], 0
    while len(made) < round(source.windows * share):
        stream = []
        for _ in range(min(PER_STREAM, round(source.windows * share) - len(made))):
            window, taken = compose(pieces, random, next_at)
            next_at += taken
            stream.append(disturb(window, random))
        codec = choose_codec(random)
        coded = through(np.concatenate(stream), codec).reshape(len(stream), WINDOW)
        made += [padded(window, random) for window in coded]
        codecs += [codec] * len(stream)
    return made, codecs


def padded(window: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The tail of a file: the rest of its window is zero."""
    if random.random() < 0.2:
        window = window.copy()
        window[int(random.uniform(0.8, 3.5) * RATE):] = 0
    return window


def write_stranger(source: Source, file: Path) -> None:
    """As they were published: nothing is added to them, and no codec."""
    clips = [trim(samples) for samples in decode([file for _, file in source.clips])]
    pieces = [clip[:WINDOW] for clip in clips if len(clip) > RATE // 3]
    random = np.random.default_rng(zlib.crc32(source.voice.encode()))
    made, next_at = [], 0
    while next_at < len(pieces) and len(made) < source.windows:
        window, taken = compose(pieces, random, next_at)
        next_at += taken
        made.append(window)
    save(source, file, [(True, made, ["as published"] * len(made))])


def save(source: Source, file: Path, parts: list[tuple[bool, list, list]]) -> None:
    window = np.array([window for _, windows, _ in parts for window in windows])
    count = len(window)
    held_out = np.concatenate([np.full(len(windows), held_out) for held_out, windows, _ in parts])
    partial = file.with_suffix(".part.npz")
    np.savez(partial, window=(window.reshape(count, WINDOW) * 32767).astype(np.int16),
             spoof=np.full(count, source.is_spoof), group=np.full(count, source.group),
             voice=np.full(count, source.voice), held_out=held_out.astype(bool),
             codec=np.array([codec for _, _, codecs in parts for codec in codecs], str))
    partial.rename(file)
    print(f"{source.group} {source.voice}: {count} windows", flush=True)


def make_file(job: tuple[Source, Path]) -> None:
    source, file = job
    if not file.exists():
        (write_stranger if source.group == "stranger" else write_windows)(source, file)


def build(work: Path, root: Path) -> dict[str, np.ndarray]:
    """All windows and what they are. A voice whose file is there is not made again."""
    folder = work / "windows"
    folder.mkdir(exist_ok=True)
    sources = sources_of(work, root)
    sources += [Source(False, "stranger", name, clips[:60], STRANGER_WINDOWS)
                for name, clips in stranger_files(root).items()]
    jobs = [(source, folder / f"{source.group}-{source.voice}.npz") for source in sources]
    with Pool(2) as pool:
        pool.map(make_file, jobs, chunksize=1)
    parts = [np.load(file) for _, file in jobs]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
