"""Makes server/analysis/baseline/model.onnx, model.json and the tables of the model card.

One command; README.md beside it says which packages it needs. Data lies in --work, and what is
there already is not made again.
"""

import argparse
import json
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

import card
import simple
from export import write_model
from fit import bands_of, fit, logits_of, weights_of
from folds import FOLDS, Data, pooled
from measure import calibrate, margin_of, threshold_of
from network import Detector, Member
from sources import fetch
from speak import ROOT, speak_all
from windows import build

CARD = ROOT / "docs/analysis-model-card.md"
TARGET = ROOT / "server/analysis/baseline"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/tmp/authenticity-baseline"))
    parser.add_argument("--only", choices=["data"], help="stop before the training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    root = fetch(arguments.work)
    speak_all(arguments.work, root)
    stored = build(arguments.work, root)
    data = Data(**{name: stored[name] for name in Data.__dataclass_fields__})
    write_split(data)
    if arguments.only != "data":
        train_and_measure(data, stored["window"])


def train_and_measure(data: Data, windows: np.ndarray) -> None:
    """Three folds at a time, each in a process of one thread."""
    started = time.monotonic()
    bands = bands_of(windows)
    print(f"{len(bands)} windows; features after {time.monotonic() - started:.0f} s", flush=True)
    flat, lfcc = simple.flatness(bands), simple.coefficients(bands)
    shared.update(data=data, bands=bands, flat=flat, lfcc=lfcc)
    # A copy of this process each, so that the features are not sent.
    with get_context("fork").Pool(3) as pool:
        found = pool.map(run_fold, range(len(FOLDS)), chunksize=1)
    print(f"trained after {time.monotonic() - started:.0f} s", flush=True)
    scores = {name: [one[name] for _, one in found] for name in card.DETECTORS}
    members = []
    for state, _ in found:
        member = Member()
        member.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        members.append(member.eval())
    ship(data, members, scores)


shared: dict = {}


def run_fold(at: int) -> tuple[dict, dict]:
    """The weights of the fold's member, and every detector's scores."""
    fold, data, bands = FOLDS[at], shared["data"], shared["bands"]
    seed = 1_400 + at
    train = data.trained_in(fold)
    weight = np.zeros(len(train))
    weight[train] = weights_of(data.group[train], data.voice[train], data.spoof[train])
    print(f"without {' and '.join(fold)}: {train.sum()} windows", flush=True)
    member = fit(bands[train], data.spoof[train], weight[train], seed)
    scores = {
        "baseline": logits_of(member, bands),
        "LFCC-GMM": simple.mixture_scores(shared["lfcc"], data.spoof, weight, data.unseen(fold),
                                          seed),
        "flatness": simple.flatness_scores(shared["flat"], data.spoof, train),
    }
    return {name: value.numpy() for name, value in member.state_dict().items()}, scores


def ship(data: Data, members: list, scores: dict) -> None:
    """Calibrates on what each member never heard, exports, and writes the tables."""
    people, machines = (pooled(data, scores["baseline"], kind)[0] for kind in (False, True))
    scale, shift = calibrate(people, machines)
    people, machines = chance(people, scale, shift), chance(machines, scale, shift)
    threshold = threshold_of(people, machines)
    margin = margin_of(people, machines, threshold)
    print(f"scale {scale:.3f}, shift {shift:.3f}, threshold {threshold}, margin {margin}")
    write_model(Detector(members, scale, shift), TARGET, threshold, margin)
    shipped = chance(np.mean(scores["baseline"], axis=0), scale, shift)
    tables = {
        "data": card.counts_table(data),
        "held-out": card.folds_table(data, scores),
        "parts": card.parts_table(data, scores["baseline"]),
        "codecs": card.codecs_table(data, scores["baseline"]),
        "strangers": card.stranger_table(data, shipped, threshold, margin),
        "shipped": card.shipped_table(data, shipped, threshold, margin),
        "threshold": [f"Threshold {threshold}, uncertain within {margin} of it."],
    }
    for name, lines in tables.items():
        print("\n".join([f"\n{name}", *lines]))
        card.write_block(CARD, name, lines)


def chance(logits: np.ndarray, scale: float, shift: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(scale * logits + shift)))


def write_split(data: Data) -> None:
    """The list of what is on which side, beside this script."""
    voices = {}
    for group in dict.fromkeys(data.group):
        chosen = data.group == group
        voices[str(group)] = {
            str(voice): {"windows": int((chosen & (data.voice == voice)).sum()),
                         "heldOutSentences": int((chosen & (data.voice == voice)
                                                  & data.held_out).sum())}
            for voice in dict.fromkeys(data.voice[chosen])}
    folds = [{"speaker": speaker, "engine": engine} for speaker, engine in FOLDS]
    text = json.dumps({"folds": folds, "voices": voices}, indent=2, ensure_ascii=False)
    (Path(__file__).parent / "split.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
