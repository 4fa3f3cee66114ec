"""What a bundle makes of real people: sex, how sure it is of it, childhood and age.

Run: python -m tests.measure_real_voices [--bundle BUNDLE] [--voices FOLDER] [--report FILE.md]

Hears the people of `recorded_people`, whose packages it names when they are missing, and, with
--voices, those of FOLDER, one folder each, whose sex is in FOLDER/speakers.csv or in --labels FILE,
lines of "speaker,f" or "speaker,m". No network was trained on any of them. Everything is the
device's: the speech found, its windows averaged. Beside it stands what the population's law makes
of F0 and formants, measured as those of the base voices are.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert.population.law import draw_person
from convert.population.oracle import sex_and_childhood
from convert.population.voices.speech import SAMPLE_RATE, read_speech
from convert.population.voices.vocal_tract import measure_samples
from convert.report.bootstrap import resamples
from convert.report.calibration import reliability
from convert.report.real_voices import OLD, SURE, load_labels, load_voices
from edge.audio.logmel import LogMelSpec
from edge.bundle import Bundle, default_bundle_path, load_bundle
from edge.embed.encoder import VoiceEncoder
from edge.errors import NoSpeechError
from edge.types import Traits

from .recorded_people import recorded_people, write_speech

HIGH_HZ, SPEECH_HZ = (5000.0, 6000.0), (200.0, 3400.0)
NOTHING_DB = -50.0  # the first against the second: telephones mostly < -70, who is measured > -46

INTRODUCTION = """# Real voices

What the shipped bundle makes of real people, none of whom any network was trained on. *Recorded
people* say words for programs for children, for a game, or telephone prompts; their sex is what
names of files say, else what F0 and a published classifier agree on, "?" where they do not
(`tests/recorded_people.py`). How old anybody was is not known. Means over the recordings of a
person. Expected calibration error of P(woman) (Naeini et al. 2015), and of the confidence in the
sex that is told (Guo et al. 2017), with the 95 % interval over people.

*By formants* is what the population's law makes of F0 and of the vocal tract that formants tell,
both taken for exact: what to expect of a listener to nothing else, where formants are found rightly
(of high voices they often are not). Recordings that end at 5 kHz or below are left out. The
published classifier, which learnt from real people, takes 1688 for a woman in all four recordings
(64 to 96 %; measured once, no command repeats it).

Made by `make real-voices SPEECH=FOLDER LABELS=FILE`; FOLDER has four recordings each of
LibriSpeech's 1688, 1998, 2414 and 533.
"""


@dataclass(frozen=True, slots=True)
class HeardPerson:
    """All recordings of one person."""

    name: str
    female: bool | None  # None: not known
    traits: tuple[Traits, ...]  # as the bundle hears them
    measured: tuple[Traits, ...] = ()  # `from_formants`, of recordings that it can measure

    def by_formants(self) -> HeardPerson:
        """Return the same person with what was measured for what was heard."""
        return replace(self, traits=self.measured, measured=())

    def mean(self, trait: str) -> float:
        """Return the mean of a trait over the recordings, NaN where none gives it."""
        values = [getattr(traits, trait) for traits in self.traits]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else float("nan")


def from_formants(path: Path) -> Traits | None:
    """Return what the law says of F0 and formants as `vocal_tract` measures them.

    Both are taken for exact, and nothing else is known: so is the sex of decorrelated voices told
    to the voice encoder. None where too little is voiced, or the recording ends before the highest
    formants do, as a telephone's.
    """
    samples = read_speech(path)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    high, low = (power[(hz >= a) & (hz < b)].mean() for a, b in (HIGH_HZ, SPEECH_HZ))
    if high < low * 10 ** (NOTHING_DB / 10):
        return None
    try:
        tract, f0 = measure_samples(samples)
    except NoSpeechError:
        return None
    # any person does: only these three are looked at
    heard = replace(draw_person("paired", 0, 0), f0_hz=f0, vtl_cm=tract, recorded=False)
    [(female, child)] = sex_and_childhood([heard])
    return Traits(female, child, f0, tract)


def listen(bundle: Bundle, folder: Path, sexes: Mapping[str, bool | None]) -> list[HeardPerson]:
    """Hear everybody of `sexes` who has a folder with sounds in `folder`."""
    # the loader takes labelled people only; who is not gets a label that nothing reads
    voices = load_voices(folder, {name: bool(sex) for name, sex in sexes.items()}, LogMelSpec())
    encoder = VoiceEncoder(bundle.open("voice_encoder"), bundle.manifest.traits)
    heard = [
        encoder.encode(voices.windows.codes[voices.windows.owner == recording]).traits
        for recording in range(len(voices.speaker))
    ]
    paths = [
        next((folder / voices.names[owner]).rglob(file))
        for file, owner in zip(voices.source, voices.speaker, strict=True)
    ]
    measured = [from_formants(path) for path in paths]

    def of(place: int, found: Sequence[Traits | None]) -> tuple[Traits, ...]:
        return tuple(t for t, own in zip(found, voices.speaker, strict=True) if own == place and t)

    people = []
    for place, name in enumerate(voices.names):
        traits, told = of(place, heard), of(place, measured)
        # a telephone's word that was too loud has something at 5 kHz, too: who is hardly ever
        # measured is not measured
        people.append(
            HeardPerson(name, sexes[name], traits, told if 2 * len(told) > len(traits) else ())
        )
    return people


def summary(title: str, people: list[HeardPerson]) -> str:
    """Return one row of the table of sets of people."""
    labelled = [person for person in people if person.female is not None]
    p = np.array([traits.female for person in labelled for traits in person.traits])
    true = np.array([person.female for person in labelled for _ in person.traits])
    speaker = np.repeat(np.arange(len(labelled)), [len(person.traits) for person in labelled])
    right = (p > 0.5) == true
    right_people = sum((person.mean("female") > 0.5) == person.female for person in labelled)
    wrong_and_sure = int((~right & (np.maximum(p, 1.0 - p) > SURE)).sum())
    found = reliability(p, true, speaker, resamples(len(labelled)))
    errors = " | ".join(
        f"{error.value:.2f} ({error.low:.2f}-{error.high:.2f})"
        for error in (found["ece"], found["confidence_ece"])
    )
    children = [person.name for person in people if person.mean("child") > 0.5]
    old = sum(person.mean("age_years") > OLD for person in people)
    tells_age = any(t.age_years is not None for person in people for t in person.traits)
    return (
        f"| {title} | {right_people} of {len(labelled)} | {int(right.sum())} of {len(p)} "
        f"| {wrong_and_sure} | {errors} "
        f"| {len(children)} of {len(people)} | {f'{old} of {len(people)}' if tells_age else '–'} |"
    )


def summaries(title: str, people: list[HeardPerson]) -> Iterator[str]:
    """Yield the row of a set, and that of its members whose formants were measured."""
    yield summary(title, people)
    if measured := [person.by_formants() for person in people if person.measured]:
        yield summary(f"{title}, by formants", measured)


def row(person: HeardPerson) -> str:
    """Return one row of the table of people."""
    sex = {True: "woman", False: "man", None: "?"}[person.female]
    wrong = person.female is not None and (person.mean("female") > 0.5) != person.female
    age = person.mean("age_years")
    told = person.by_formants()
    beside = "– | – | – | –"
    if told.traits:
        beside = (
            f"{told.mean('female'):.2f} | {told.mean('child'):.2f} "
            f"| {told.mean('f0_hz'):.0f} Hz | {told.mean('vocal_tract_cm'):.1f} cm"
        )
    return (
        f"| {person.name} | {sex} | {len(person.traits)} "
        f"| {person.mean('female'):.2f}{' (wrong)' if wrong else ''} | {person.mean('child'):.2f} "
        f"| {'child' if np.isnan(age) else f'{age:.0f}'} | {person.mean('f0_hz'):.0f} Hz "
        f"| {person.mean('vocal_tract_cm'):.1f} cm | {beside} |"
    )


def report(sets: Mapping[str, list[HeardPerson]]) -> str:
    """Return the page."""
    lines = [
        INTRODUCTION,
        "| | sex of people right | of recordings | wrong by more than 80 % | calibration error "
        "| of confidence | taken for a child | older than 65 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(line for title, people in sets.items() for line in summaries(title, people)),
        "",
        "| person | sex | recordings | P(woman) | P(child) | years | F0 | vocal tract "
        "| by formants: P(woman) | P(child) | F0 | vocal tract |",
        "|" + " --- |" * 12,
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
