"""Writes the model's two files."""

import json
import re
from pathlib import Path

import torch

from network import Detector

LIMITS = (
    "A small model, trained on five speakers and five older or local speech engines. Nothing is "
    "known of how it does with today's best voice clones: assume that it misses them. It finds few "
    "sentences of the neural voice kokoro, and is often uncertain of people whom, or microphones and "
    "channels that, it never heard. Use it to try the analysis out, not to decide about a person. "
    "Rates: docs/analysis-model-card.md."
)


def write_model(detector: Detector, target: Path, threshold: float, margin: float) -> None:
    target.mkdir(parents=True, exist_ok=True)
    detector.eval()
    torch.onnx.export(
        detector, (torch.zeros(2, 64_000),), str(target / "model.onnx"), opset_version=13,
        input_names=["waveform"], output_names=["logit"],
        dynamic_axes={"waveform": {0: "batch"}, "logit": {0: "batch"}})
    description = {
        "name": "parley-baseline-1",
        "license": "Apache-2.0",
        "input": {"name": "waveform", "shape": ["batch", 64_000]},
        "output": {"name": "logit", "kind": "logit"},
        "windowSamples": 64_000,
        "sampleRateHz": 16_000,
        "threshold": threshold,
        "uncertainMargin": margin,
        "limits": LIMITS,
    }
    # The list on one line, as the repository's formatter writes it.
    text = re.sub(r"\[\s+(.*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]",
                  json.dumps(description, indent=2), flags=re.DOTALL)
    (target / "model.json").write_text(text + "\n", encoding="utf-8")
