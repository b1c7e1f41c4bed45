#!/usr/bin/env python3
"""Makes an ONNX model, and the JSON beside it, of a WavLM checkpoint with a linear head.

    python3 tools/export-wavlm.py checkpoint.pth model.onnx --name NAME --license LICENCE --limits TEXT

The checkpoint is a state dict, or a dict that has one as "state_dict" or "model": WavLM's weights by the names
of Hugging Face's transformers, below any prefix, and the head as "classifier.weight" and "classifier.bias"
(one logit, or two classes), behind an optional "projector". The mean over time goes into the head. The sizes
are read from the weights.

Needs torch from 1.13 (Debian: python3-torch) and onnx (python3-onnx); transformers is not needed.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

WINDOW = 64_000
RATE = 16_000
STRIDES = (5, 2, 2, 2, 2, 2, 2)
KERNELS = (10, 3, 3, 3, 3, 2, 2)
MAX_DISTANCE = 800
GROUPS = 16


def frames_of(samples):
    """Frames that the convolutions make of so many samples."""
    for kernel, stride in zip(KERNELS, STRIDES):
        samples = (samples - kernel) // stride + 1
    return samples


class Weights:
    """Weights by their names below a prefix."""

    def __init__(self, weights, prefix=""):
        self.weights, self.prefix = weights, prefix

    def below(self, name):
        return Weights(self.weights, f"{self.prefix}{name}.")

    def has(self, name):
        return f"{self.prefix}{name}" in self.weights

    def __getitem__(self, name):
        key = f"{self.prefix}{name}"
        if key not in self.weights:
            sys.exit(f"the checkpoint has no {key}")
        return self.weights[key].float()

    def get(self, name):
        return self[name] if self.has(name) else None

    def count(self, name):
        """How many numbered parts of this name there are."""
        start = f"{self.prefix}{name}."
        return len({key[len(start) :].split(".")[0] for key in self.weights if key.startswith(start)})


class Module(nn.Module):
    """A module whose weights are the checkpoint's, by the same names."""

    def keep(self, weights, **names):
        for own, name in names.items():
            self.register_buffer(own, weights.get(name) if own.endswith("bias") else weights[name])


class Norm(Module):
    def __init__(self, weights):
        super().__init__()
        self.keep(weights, weight="weight", bias="bias")

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


class Linear(Module):
    def __init__(self, weights):
        super().__init__()
        self.keep(weights, weight="weight", bias="bias")

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Features(Module):
    """Seven convolutions: 320 samples become a frame."""

    def __init__(self, weights):
        super().__init__()
        self.layers = weights.count("conv_layers")
        self.is_normed = weights.has("conv_layers.1.layer_norm.weight")
        for index in range(self.layers):
            layer = weights.below(f"conv_layers.{index}")
            self.keep(layer, **{f"weight{index}": "conv.weight", f"{index}_bias": "conv.bias"})
            if self.is_normed or index == 0:
                names = {f"norm{index}": "layer_norm.weight", f"norm{index}_bias": "layer_norm.bias"}
                self.keep(layer, **names)

    def forward(self, wave):
        x = wave.unsqueeze(1)
        for index in range(self.layers):
            weight, bias = getattr(self, f"weight{index}"), getattr(self, f"{index}_bias")
            x = F.conv1d(x, weight, bias, stride=STRIDES[index])
            if self.is_normed:
                norm, shift = getattr(self, f"norm{index}"), getattr(self, f"norm{index}_bias")
                x = F.layer_norm(x.transpose(1, 2), norm.shape, norm, shift).transpose(1, 2)
            elif index == 0:
                x = F.group_norm(x, self.norm0.shape[0], self.norm0, self.norm0_bias)
            x = F.gelu(x)
        return x.transpose(1, 2)


class Positions(Module):
    """A grouped convolution over time; its weight is stored as direction and length."""

    def __init__(self, weights):
        super().__init__()
        direction, length = weights["conv.weight_v"], weights["conv.weight_g"]
        weight = direction * (length / direction.norm(dim=(0, 1), keepdim=True))
        self.register_buffer("weight", weight)
        self.keep(weights, bias="conv.bias")
        self.width = weight.shape[2]

    def forward(self, x):
        y = F.conv1d(
            x.transpose(1, 2), self.weight, self.bias, padding=self.width // 2, groups=GROUPS
        )
        if self.width % 2 == 0:
            y = y[:, :, :-1]
        return F.gelu(y).transpose(1, 2)


def relative_bias(embedding, frames):
    """The bias of each pair of frames, by how far apart they are: [heads, frames, frames]."""
    buckets = embedding.shape[0] // 2
    exact = buckets // 2
    steps = torch.arange(frames)
    distance = steps[None, :] - steps[:, None]
    offset = (distance > 0).long() * buckets
    distance = distance.abs()
    far = exact + (
        torch.log(distance.float().clamp(min=1) / exact)
        / math.log(MAX_DISTANCE / exact)
        * (buckets - exact)
    )
    far = far.long().clamp(max=buckets - 1)
    return embedding[offset + torch.where(distance < exact, distance, far)].permute(2, 0, 1)


class Attention(Module):
    frames = frames_of(WINDOW)

    def __init__(self, weights, heads):
        super().__init__()
        self.heads = heads
        for name in ("q", "k", "v", "out"):
            setattr(self, name, Linear(weights.below(f"{name}_proj")))
        self.gate = Linear(weights.below("gru_rel_pos_linear"))
        self.keep(weights, gate_const="gru_rel_pos_const")
        self.size = weights["q_proj.weight"].shape[0]
        self.own = self.size // heads

    def forward(self, x, bias):
        frames = self.frames
        split = lambda y: y.view(-1, frames, self.heads, self.own).transpose(1, 2)
        gates = self.gate(split(x)).view(-1, self.heads, frames, 2, 4).sum(-1).sigmoid()
        first, second = gates[..., 0:1], gates[..., 1:2]
        gated = first * (second * self.gate_const - 1.0) + 2.0
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.own) + gated * bias
        y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(-1, frames, self.size))


class Layer(Module):
    def __init__(self, weights, heads, is_stable):
        super().__init__()
        self.is_stable = is_stable
        self.attention = Attention(weights.below("attention"), heads)
        self.norm = Norm(weights.below("layer_norm"))
        self.final_norm = Norm(weights.below("final_layer_norm"))
        self.wide = Linear(weights.below("feed_forward.intermediate_dense"))
        self.narrow = Linear(weights.below("feed_forward.output_dense"))

    def forward(self, x, bias):
        dense = lambda y: self.narrow(F.gelu(self.wide(y)))
        if self.is_stable:
            x = x + self.attention(self.norm(x), bias)
            return x + dense(self.final_norm(x))
        x = self.norm(x + self.attention(x, bias))
        return self.final_norm(x + dense(x))


class Classifier(Module):
    """WavLM and its head: float32 [N, 64000] becomes [N, 1] or [N, 2]."""

    def __init__(self, weights, normalizes):
        super().__init__()
        self.normalizes = normalizes
        mark = "feature_extractor.conv_layers.0.conv.weight"
        found = [key for key in weights if key.endswith(mark)]
        if not found:
            sys.exit(f"the checkpoint is no WavLM: it has no {mark}")
        wavlm = Weights(weights, found[0][: -len(mark)])
        encoder = wavlm.below("encoder")
        self.features = Features(wavlm.below("feature_extractor"))
        # In the released models both go together: norms in each convolution, and ahead of each layer.
        self.is_stable = self.features.is_normed
        self.feature_norm = Norm(wavlm.below("feature_projection.layer_norm"))
        self.projection = Linear(wavlm.below("feature_projection.projection"))
        self.positions = Positions(encoder.below("pos_conv_embed"))
        self.norm = Norm(encoder.below("layer_norm"))
        embedding = encoder["layers.0.attention.rel_attn_embed.weight"]
        self.layers = nn.ModuleList(
            Layer(encoder.below(f"layers.{index}"), embedding.shape[1], self.is_stable)
            for index in range(encoder.count("layers"))
        )
        self.register_buffer("bias", relative_bias(embedding, frames_of(WINDOW)))
        head = Weights(weights)
        self.projector = Linear(head.below("projector")) if head.has("projector.weight") else None
        self.head = Linear(head.below("classifier"))

    def forward(self, wave):
        if self.normalizes:
            mean = wave.mean(1, keepdim=True)
            variance = ((wave - mean) ** 2).mean(1, keepdim=True)
            wave = (wave - mean) / torch.sqrt(variance + 1e-7)
        x = self.projection(self.feature_norm(self.features(wave)))
        x = x + self.positions(x)
        if not self.is_stable:
            x = self.norm(x)
        for layer in self.layers:
            x = layer(x, self.bias)
        if self.is_stable:
            x = self.norm(x)
        if self.projector is not None:
            x = self.projector(x)
        return self.head(x.mean(1))


def random_weights(seed, classes, is_stable):
    """A small WavLM's weights: the shapes of a real one, two layers, 64 numbers a frame."""
    torch.manual_seed(seed)
    size, heads, wide, channels = 64, 4, 128, 32
    weights = {}

    def add(name, *shape, scale=None):
        fan = shape[1] * (shape[2] if len(shape) > 2 else 1) if len(shape) > 1 else 1
        weights[name] = torch.randn(*shape) * (scale or 1 / math.sqrt(fan))

    def add_norm(name, width):
        weights[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)
        weights[f"{name}.bias"] = 0.1 * torch.randn(width)

    def add_linear(name, to, origin):
        add(f"{name}.weight", to, origin)
        add(f"{name}.bias", to, scale=0.1)

    for index, kernel in enumerate(KERNELS):
        name = f"wavlm.feature_extractor.conv_layers.{index}"
        add(f"{name}.conv.weight", channels, 1 if index == 0 else channels, kernel)
        if is_stable or index == 0:
            add_norm(f"{name}.layer_norm", channels)
    add_norm("wavlm.feature_projection.layer_norm", channels)
    add_linear("wavlm.feature_projection.projection", size, channels)
    add("wavlm.encoder.pos_conv_embed.conv.weight_v", size, size // GROUPS, 128)
    weights["wavlm.encoder.pos_conv_embed.conv.weight_g"] = 0.5 + torch.rand(1, 1, 128)
    add("wavlm.encoder.pos_conv_embed.conv.bias", size, scale=0.1)
    add_norm("wavlm.encoder.layer_norm", size)
    for index in range(2):
        name = f"wavlm.encoder.layers.{index}"
        for part in ("q", "k", "v", "out"):
            add_linear(f"{name}.attention.{part}_proj", size, size)
        add_linear(f"{name}.attention.gru_rel_pos_linear", 8, size // heads)
        weights[f"{name}.attention.gru_rel_pos_const"] = 1 + 0.1 * torch.randn(1, heads, 1, 1)
        add_norm(f"{name}.layer_norm", size)
        add_norm(f"{name}.final_layer_norm", size)
        add_linear(f"{name}.feed_forward.intermediate_dense", wide, size)
        add_linear(f"{name}.feed_forward.output_dense", size, wide)
    add("wavlm.encoder.layers.0.attention.rel_attn_embed.weight", 320, heads, scale=0.5)
    add_linear("classifier", classes, size)
    return weights


def read_checkpoint(path):
    checkpoint = torch.load(path, map_location="cpu")
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(name), dict):
            checkpoint = checkpoint[name]
    return {key.removeprefix("module."): value for key, value in checkpoint.items()}


def export(model, path, about):
    wave = torch.zeros(1, WINDOW)
    classes = model.head.weight.shape[0]
    if classes not in (1, 2):
        sys.exit(f"the head has {classes} outputs; one or two are read")
    torch.onnx.export(
        model,
        (wave,),
        str(path),
        input_names=["waveform"],
        output_names=["logits"],
        dynamic_axes={"waveform": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=16,
    )
    two = {"kind": "two-class-logits", "spoofIndex": about.spoof_index}
    description = {
        "name": about.name,
        "license": about.license,
        "input": {"name": "waveform", "shape": [1, WINDOW]},
        "output": {"name": "logits", **({"kind": "logit"} if classes == 1 else two)},
        "windowSamples": WINDOW,
        "sampleRateHz": RATE,
        "threshold": about.threshold,
        "uncertainMargin": about.margin,
        "limits": about.limits,
    }
    path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n")


def print_scores(model, path, classes, spoof_index):
    """The scores of windows of float32 in a file, by PyTorch, one a line: to compare with the gateway's."""
    import array

    samples = array.array("f")
    samples.frombytes(Path(path).read_bytes())
    with torch.no_grad():
        logits = model(torch.tensor(samples).view(-1, WINDOW))
    spoof = logits[:, 0] if classes == 1 else logits[:, spoof_index] - logits[:, 1 - spoof_index]
    for score in spoof.sigmoid().tolist():
        print(repr(score))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", help="a .pth file; or random:SEED:CLASSES[:stable], for tests")
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--license", required=True)
    parser.add_argument("--limits", required=True, help="what the model cannot do, for everyone who reads a score")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--margin", type=float, default=0.1)
    parser.add_argument("--spoof-index", type=int, choices=(0, 1), default=1, help="of two classes, the synthetic one")
    parser.add_argument("--normalize", action="store_true", help="zero mean and unit variance first, as WavLM Large")
    parser.add_argument("--save", type=Path, help="also write the weights there, as a .pth file")
    parser.add_argument("--scores", help="a file of windows, float32: print PyTorch's scores of them")
    about = parser.parse_args()
    if about.checkpoint.startswith("random:"):
        _, seed, classes, *more = about.checkpoint.split(":")
        weights = random_weights(int(seed), int(classes), more == ["stable"])
    else:
        weights = read_checkpoint(about.checkpoint)
    if about.save:
        torch.save({"state_dict": weights}, about.save)
    model = Classifier(weights, about.normalize).eval()
    export(model, about.onnx, about)
    if about.scores:
        print_scores(model, about.scores, model.head.weight.shape[0], about.spoof_index)


if __name__ == "__main__":
    main()
