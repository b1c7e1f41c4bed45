"""Synthetic speech: the sentences of the recorded prompts, spoken by every engine."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sources import prompt_texts

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KOKORO_VOICES = ["af_heart", "af_bella", "am_michael"]


@dataclass(frozen=True)
class Voice:
    engine: str
    name: str
    language: str
    sentences: int

    def folder(self, work: Path) -> Path:
        return work / "spoken" / self.engine / self.name.replace("/", "_")


VOICES = (
    [Voice("espeak", name, name[:2], 45) for name in
     ["en-us", "en-gb+f3", "en-us+m3", "es+f2", "es+m4", "fr-fr", "fr-fr+f4", "it+m2", "it+f1",
      "ru+m5", "ru+f2", "de+f5"]]
    + [Voice("flite", name, "en", 60) for name in ["kal", "kal16", "awb", "rms", "slt"]]
    + [Voice("festival", name, language, 60) for name, language in
       [("kal_diphone", "en"), ("cmu_us_slt_arctic_hts", "en"), ("lp_diphone", "it"),
        ("pc_diphone", "it"), ("msu_ru_nsh_clunits", "ru")]]
    + [Voice("dittli", "dittli-en", "en", 150), Voice("dittli", "dittli-de", "de", 50)]
    + [Voice("kokoro", name, "en", 8) for name in KOKORO_VOICES]
)


def german_texts() -> dict[str, str]:
    lines = (HERE / "german.txt").read_text(encoding="utf-8").splitlines()
    return {f"german-{at:02}": line for at, line in enumerate(lines)}


def sentences_of(root: Path, voice: Voice) -> dict[str, str]:
    """Each voice speaks its own choice of the language's sentences."""
    texts = german_texts() if voice.language == "de" else prompt_texts(root, voice.language)
    names = sorted(texts)
    seed = sum(map(ord, voice.engine + voice.name))
    chosen = np.random.default_rng(seed).permutation(len(names))[: voice.sentences]
    return {names[at]: texts[names[at]] for at in sorted(chosen)}


def speak_all(work: Path, root: Path) -> None:
    """Speaks what is not there yet."""
    for voice in VOICES:
        folder = voice.folder(work)
        folder.mkdir(parents=True, exist_ok=True)
        jobs = {folder / f"{name.replace('/', '_')}.wav": text
                for name, text in sentences_of(root, voice).items()}
        missing = {file: text for file, text in jobs.items() if not file.exists()}
        (folder / "names.json").write_text(json.dumps(
            {name.replace("/", "_"): name for name in sentences_of(root, voice)}))
        if missing:
            print(f"{voice.engine} {voice.name}: {len(missing)} sentences", flush=True)
            SPEAK[voice.engine](voice, missing, work)


def with_espeak(voice: Voice, jobs: dict[Path, str], _work: Path) -> None:
    for at, (file, text) in enumerate(jobs.items()):
        speed, pitch = 140 + 15 * (at % 4), 35 + 10 * (at % 3)
        subprocess.run(["espeak-ng", "-v", voice.name, "-s", str(speed), "-p", str(pitch),
                        "-w", str(file), text], check=True)


def with_flite(voice: Voice, jobs: dict[Path, str], _work: Path) -> None:
    for file, text in jobs.items():
        subprocess.run(["flite", "-voice", voice.name, "-t", text, "-o", str(file)], check=True)


def with_festival(voice: Voice, jobs: dict[Path, str], work: Path) -> None:
    """One process a voice: the Russian one takes seconds to load."""
    encoding = "latin-1" if voice.language == "it" else "utf-8"
    lines = [f"(voice_{voice.name})"]
    for file, text in jobs.items():
        said = text.replace('"', "").replace("\\", "")
        lines.append(f'(unwind-protect (utt.save.wave (utt.synth (Utterance Text "{said}")) '
                     f'"{file}" (quote riff)) nil)')
    script = work / f"festival-{voice.name}.scm"
    script.write_bytes("\n".join(lines).encode(encoding, errors="ignore"))
    subprocess.run(["festival", "-b", str(script)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def with_local(voice: Voice, jobs: dict[Path, str], work: Path) -> None:
    """The gateway's own voices."""
    kokoro = ROOT / "data" / "kokoro"
    if voice.engine == "kokoro":
        subprocess.run([str(ROOT / "node_modules/.bin/node"), str(ROOT / "tools/kokoro.mjs")],
                       check=True)
    lines = [json.dumps({"voice": voice.name, "text": text, "file": str(file)})
             for file, text in jobs.items()]
    program = [str(ROOT / "node_modules/.bin/node"), str(HERE / "speak-local.ts"), str(kokoro),
               str(work / "cache")]
    subprocess.run(program, input="\n".join(lines).encode(), check=True)


SPEAK = {"espeak": with_espeak, "flite": with_flite, "festival": with_festival,
         "dittli": with_local, "kokoro": with_local}
