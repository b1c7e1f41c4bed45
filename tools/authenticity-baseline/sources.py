"""Where the audio and the sentences come from: Debian packages, and nothing else."""

import gzip
import hashlib
import re
import subprocess
from pathlib import Path

LANGUAGES = {"en": "en_US_f_Allison", "es": "es_MX_f_Allison", "fr": "fr_CA_f_June",
             "it": "it_IT_m_Carlo", "ru": "ru_RU_f_IvrvoiceRU"}
NSH = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"

# Read from the packages; never installed.
PACKAGES = ([f"asterisk-core-sounds-{language}" for language in LANGUAGES]
            + [f"asterisk-core-sounds-{language}-g722" for language in LANGUAGES]
            + ["festvox-ru"])
# Recordings by other people over other channels. They are measured, and never trained on.
STRANGER_PACKAGES = ["asterisk-prompt-es-co", "asterisk-prompt-fr-armelle",
                     "asterisk-prompt-it-menardi-wav", "fillets-ng-data-cs", "fillets-ng-data-nl",
                     "ktuberling-data"]

# The prompts in Spanish and English are one person's, so they are one speaker.
SPEAKERS = {"allison": ["en", "es"], "june": ["fr"], "carlo": ["it"], "ivrvoice": ["ru"]}

HELD_OUT_PERCENT = 15


def fetch(work: Path) -> Path:
    """Downloads and unpacks the packages, once. Returns the folder that holds their `usr`."""
    archives, root = work / "deb", work / "debian"
    archives.mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    for name in PACKAGES + STRANGER_PACKAGES:
        done = root / f".{name}"
        if done.exists():
            continue
        if not list(archives.glob(f"{name}_*.deb")):
            print(f"download {name}", flush=True)
            subprocess.run(["apt-get", "download", "-qq", name], cwd=archives, check=True,
                           stderr=subprocess.DEVNULL)
        [archive] = archives.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)
        done.touch()
    return root


def is_held_out(sentence: str) -> bool:
    """Whether no model is trained on this sentence, whoever or whatever speaks it."""
    number = int(hashlib.sha256(sentence.encode()).hexdigest()[:8], 16)
    return number % 100 < HELD_OUT_PERCENT


def prompt_texts(root: Path, language: str) -> dict[str, str]:
    """The sentences of the recorded prompts by name; without tones and single words."""
    path = root / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
    texts = {}
    for line in gzip.open(path, "rt", encoding="utf-8", errors="replace"):
        name, colon, text = line.partition(":")
        text = re.sub(r"\s+", " ", text.replace("...", " ").replace("–", "-")).strip()
        if colon and not name.startswith(";") and "[" not in text and 18 <= len(text) <= 160:
            texts[name.strip()] = text
    return texts


def genuine_files(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Recordings of each speaker: name of the sentence, and file."""
    found = {}
    for speaker, languages in SPEAKERS.items():
        found[speaker] = []
        for language in languages:
            folder = root / "usr/share/asterisk/sounds" / LANGUAGES[language]
            for path in sorted(folder.rglob("*.g722")):
                name = path.relative_to(folder).with_suffix("").as_posix()
                # Digits, letters and tones are too short or no speech; 6,400 bytes are 0.8 s.
                if not re.match(r"(digits|letters|phonetic|silence)/|.*tone|beep", name) \
                        and path.stat().st_size > 6_400:
                    found[speaker].append((name, path))
    found["nsh"] = [(path.stem, path) for path in sorted((root / NSH / "wav").glob("*.wav"))]
    return found


def stranger_files(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Recordings of people whom no model heard. A language of ktuberling counts as one person."""
    sounds = root / "usr/share/asterisk/sounds"
    found = {
        "asterisk-prompt-es-co": sorted((sounds / "es").rglob("*.gsm")),
        "asterisk-prompt-fr-armelle": sorted((sounds / "fr").rglob("*.gsm")),
        "asterisk-prompt-it-menardi": sorted((sounds / "it_IT_f_Menardi").rglob("*.wav")),
    }
    games = root / "usr/share/games/fillets-ng/sound"
    for language in ("cs", "nl"):
        for voice in ("m", "v"):
            found[f"fillets-{language}-{voice}"] = sorted(games.glob(f"*/{language}/*-{voice}-*.ogg"))
    for folder in sorted((root / "usr/share/ktuberling/sounds").iterdir()):
        clips = sorted(folder.glob("*.ogg"))
        if len(clips) >= 60:
            found[f"ktuberling-{folder.name}"] = clips
    return {name: [(path.stem, path) for path in paths if path.stat().st_size > 1_600]
            for name, paths in found.items()}
