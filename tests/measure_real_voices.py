"""What a bundle makes of real people: sex, how sure it is of it, childhood and age.

Run: python -m tests.measure_real_voices [--bundle BUNDLE] [--voices FOLDER] [--report FILE.md]

Hears the people of `recorded_people`, whose packages it names when they are missing, and, with
--voices, those of FOLDER, one folder each, whose sex is in FOLDER/speakers.csv or in --labels FILE,
lines of "speaker,f" or "speaker,m". No network was trained on any of them. Everything is the
device's: the speech found, its windows averaged.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.report.bootstrap import resamples
from convert.report.calibration import reliability
from convert.report.real_voices import OLD, SURE, load_labels, load_voices
from edge.audio.logmel import LogMelSpec
from edge.bundle import Bundle, default_bundle_path, load_bundle
from edge.embed.encoder import VoiceEncoder
from edge.types import Traits

from .recorded_people import recorded_people, write_speech

INTRODUCTION = """# Real voices

What the shipped bundle makes of real people, none of whom any network was trained on. *Recorded
people* say words for programs for children, or telephone prompts; their sex is what F0 and a
published classifier agree on, "?" where they do not (`tests/recorded_people.py`). How old anybody
was is not known. Means over the recordings of a person; calibration error with the 95 % interval
over people.

Made by `make real-voices SPEECH=FOLDER LABELS=FILE`; FOLDER has four recordings each of
LibriSpeech's 1688, 1998, 2414 and 533.
"""


@dataclass(frozen=True, slots=True)
class HeardPerson:
    """All recordings of one person."""

    name: str
    female: bool | None  # None: not known
    traits: tuple[Traits, ...]

    def mean(self, trait: str) -> float:
        """Return the mean of a trait over the recordings, NaN where none gives it."""
        values = [getattr(traits, trait) for traits in self.traits]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else float("nan")


def listen(bundle: Bundle, folder: Path, sexes: Mapping[str, bool | None]) -> list[HeardPerson]:
    """Hear everybody of `sexes` who has a folder with sounds in `folder`."""
    # the loader takes labelled people only; who is not gets a label that nothing reads
    voices = load_voices(folder, {name: bool(sex) for name, sex in sexes.items()}, LogMelSpec())
    encoder = VoiceEncoder(bundle.open("voice_encoder"), bundle.manifest.traits)
    traits = [
        encoder.encode(voices.windows.codes[voices.windows.owner == recording]).traits
        for recording in range(len(voices.speaker))
    ]
    return [
        HeardPerson(
            name,
            sexes[name],
            tuple(t for t, owner in zip(traits, voices.speaker, strict=True) if owner == place),
        )
        for place, name in enumerate(voices.names)
    ]


def summary(title: str, people: list[HeardPerson]) -> str:
    """Return one row of the table of sets of people."""
    labelled = [person for person in people if person.female is not None]
    p = np.array([traits.female for person in labelled for traits in person.traits])
    true = np.array([person.female for person in labelled for _ in person.traits])
    speaker = np.repeat(np.arange(len(labelled)), [len(person.traits) for person in labelled])
    right = (p > 0.5) == true
    right_people = sum((person.mean("female") > 0.5) == person.female for person in labelled)
    wrong_and_sure = int((~right & (np.maximum(p, 1.0 - p) > SURE)).sum())
    error = reliability(p, true, speaker, resamples(len(labelled)))["ece"]
    children = [person.name for person in people if person.mean("child") > 0.5]
    old = [person.name for person in people if person.mean("age_years") > OLD]
    return (
        f"| {title} | {right_people} of {len(labelled)} | {int(right.sum())} of {len(p)} "
        f"| {wrong_and_sure} | {error.value:.2f} ({error.low:.2f}-{error.high:.2f}) "
        f"| {len(children)} of {len(people)} | {len(old)} of {len(people)} |"
    )


def row(person: HeardPerson) -> str:
    """Return one row of the table of people."""
    sex = {True: "woman", False: "man", None: "?"}[person.female]
    wrong = person.female is not None and (person.mean("female") > 0.5) != person.female
    age = person.mean("age_years")
    return (
        f"| {person.name} | {sex} | {len(person.traits)} "
        f"| {person.mean('female'):.2f}{' (wrong)' if wrong else ''} | {person.mean('child'):.2f} "
        f"| {'child' if np.isnan(age) else f'{age:.0f}'} | {person.mean('f0_hz'):.0f} Hz "
        f"| {person.mean('vocal_tract_cm'):.1f} cm |"
    )


def report(sets: Mapping[str, list[HeardPerson]]) -> str:
    """Return the page."""
    lines = [
        INTRODUCTION,
        "| | sex of people right | of recordings | wrong by more than 80 % | calibration error "
        "| taken for a child | older than 65 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(summary(title, people) for title, people in sets.items()),
        "",
        "| person | sex | recordings | P(woman) | P(child) | years | F0 | vocal tract |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row(person) for people in sets.values() for person in people),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--voices", type=Path, help="a folder with one folder per speaker")
    parser.add_argument("--labels", type=Path, help="whose sex is what (speakers.csv)")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    sets: dict[str, list[HeardPerson]] = {}
    with tempfile.TemporaryDirectory() as folder:
        people = recorded_people()
        found = {p.name: p.female for p in people if write_speech(p, Path(folder, p.name))}
        if missing := sorted({p.package for p in people if p.name not in found}):
            print(f"people are missing: apt install {' '.join(missing)}", file=sys.stderr)
        if found:
            sets["recorded people"] = listen(bundle, Path(folder), found)
    if args.voices:
        labels = dict(load_labels(args.voices, args.labels))
        sets["readers"] = listen(bundle, args.voices, labels)
    if not sets:
        raise SystemExit("nobody to hear: install those packages, or give --voices FOLDER")
    page = report(sets)
    if args.report:
        args.report.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()
