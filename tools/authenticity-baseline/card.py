"""The tables of docs/analysis-model-card.md."""

from pathlib import Path

import numpy as np

from folds import FOLDS, Data, genuine, pooled, spoofs
from measure import equal_error_rate, rate_between, share_above

DETECTORS = ("baseline", "LFCC-GMM", "flatness")


def row(*cells) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def heading(*cells) -> list[str]:
    return [row(*cells), row(*["---"] * len(cells))]


def counts_table(data: Data) -> list[str]:
    """What there is: windows of each speaker and engine."""
    lines = heading("class", "speaker or engine", "voices", "windows", "of held-out sentences")
    for kind, name in ((False, "person"), (True, "synthetic")):
        for group in dict.fromkeys(data.group[(data.spoof == kind) & ~data.stranger]):
            chosen = data.group == group
            lines.append(row(name, group, len(np.unique(data.voice[chosen])), chosen.sum(),
                             (chosen & data.held_out).sum()))
    people = len(np.unique(data.voice[data.stranger]))
    return [*lines, row("person", "strangers, never trained on", people, data.stranger.sum(), "all")]


def folds_table(data: Data, scores: dict[str, list[np.ndarray]]) -> list[str]:
    """Both classes unseen: the speaker and the engine of each fold, by each detector."""
    lines = heading("held-out speaker", "held-out engine", *DETECTORS)
    for at, fold in enumerate(FOLDS):
        rates = []
        for name in DETECTORS:
            found = scores[name][at]
            rates.append(rate_between(genuine(data, found, data.unseen(fold)),
                                      spoofs(data, found, data.unseen(fold))))
        lines.append(row(*fold, *rates))
    together = [rate_between(pooled(data, scores[name], False), pooled(data, scores[name], True))
                for name in DETECTORS]
    return [*lines, row("**all five**", "**all five**", *together)]


def parts_table(data: Data, found: list[np.ndarray]) -> list[str]:
    """The baseline alone: what an unseen engine costs, and what an unseen speaker costs."""
    lines = heading("held out", "its engine, known speakers", "its speaker, known engines",
                    "neither: other sentences only")
    for fold, scores in zip(FOLDS, found):
        known, unseen = data.known(fold), data.unseen(fold)
        lines.append(row(
            " + ".join(fold),
            rate_between(genuine(data, scores, known), spoofs(data, scores, unseen)),
            rate_between(genuine(data, scores, unseen), spoofs(data, scores, known)),
            rate_between(genuine(data, scores, known), spoofs(data, scores, known))))
    return lines


def codecs_table(data: Data, found: list[np.ndarray]) -> list[str]:
    lines = heading("codec", "windows", "equal error rate")
    for codec in np.unique(data.codec[~data.stranger]):
        chosen = data.codec == codec
        people, machines = pooled(data, found, False, chosen), pooled(data, found, True, chosen)
        rate = equal_error_rate(people[0], machines[0])
        lines.append(row(codec, len(people[0]) + len(machines[0]), f"{rate:.1%}".replace("%", " %")))
    return lines


def stranger_table(data: Data, scores: np.ndarray, threshold: float, margin: float) -> list[str]:
    """What the shipped file says of people whom it never heard: here it should say genuine."""
    lines = heading("recordings", "windows", "median score", "called spoof", "called genuine")
    for voice in np.unique(data.voice[data.stranger]):
        found = scores[data.stranger & (data.voice == voice)]
        lines.append(row(voice, len(found), f"{np.median(found):.2f}",
                         percent(np.mean(found > threshold + margin)),
                         percent(np.mean(found < threshold - margin))))
    everyone, names = scores[data.stranger], data.voice[data.stranger]
    return [*lines, row("**all**", len(everyone), f"{np.median(everyone):.2f}",
                        share_above(everyone, names, threshold + margin),
                        share_above(-everyone, names, -(threshold - margin)))]


def shipped_table(data: Data, scores: np.ndarray, threshold: float, margin: float) -> list[str]:
    """The shipped file on held-out sentences. Four of its five members know each speaker and engine."""
    lines = heading("speaker or engine", "windows", "called spoof", "uncertain", "called genuine")
    chosen = data.held_out & ~data.stranger
    for group in dict.fromkeys(data.group[chosen]):
        found = scores[chosen & (data.group == group)]
        spoof = np.mean(found > threshold + margin)
        clear = np.mean(found < threshold - margin)
        lines.append(row(group, len(found), percent(spoof), percent(1 - spoof - clear),
                         percent(clear)))
    return lines


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def write_block(path: Path, name: str, lines: list[str]) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(f"<!-- {name} -->")
    _, found, after = rest.partition(f"<!-- /{name} -->")
    if not found:
        raise SystemExit(f"{path}: the markers of {name} are missing")
    content = "\n".join(lines)
    path.write_text(f"{before}<!-- {name} -->\n\n{content}\n\n<!-- /{name} -->{after}",
                    encoding="utf-8")
