"""How good names are over conversations, of people who are enrolled and of people who are not.

Run: python -m tests.measure_votes --work WORK [--bundle BUNDLE] [--report FILE.md]

WORK is a folder in which `earsight-convert build` trained the bundle. Speakers, utterances and
photos are of its test split, which no network and no threshold has seen. Galleries of ten and
thirty people are drawn from it, as photos or as voices; a conversation is six utterances of one
speaker, in clean and in bad sound, and then six of another of the same sex. Everything from the
embedding on is the code of the device: ranking, verdict, votes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert.population.people import load_people, split_of
from convert.population.pictures import load_pictures
from convert.recipe import load_recipe
from convert.training.batches import centre_crop
from edge.bundle import Bundle, default_bundle_path, load_bundle
from edge.embed.encoder import FaceEncoder, VoiceEncoder
from edge.face.gallery import Gallery, Person, Rows
from edge.people.cohort import load_cohort
from edge.people.decision import Judge
from edge.people.flat_index import FlatIndex
from edge.people.person import KINDS, Kind
from edge.types import Float32, Traits, VoicePrint
from edge.votes import DecisionSettings, Votes

UTTERANCES = 6  # in a row, of one speaker
SIZES = (10, 30)
DRAWS = 1000  # conversations of each kind
PHOTOS = 2  # averaged for each person enrolled
NO_TRAITS = Traits(0.5, 0.5, 150.0, 15.0)


@dataclass(frozen=True, slots=True)
class Speaker:
    """One person of the test split."""

    id: str
    male: bool
    photo: Float32  # (d,), mean of some photos
    voice: Float32  # (d,), of one clean clip
    utterances: Float32  # (n, d), of the other clips, clean and in bad sound


@dataclass(frozen=True, slots=True)
class Figures:
    """What conversations of one kind gave; shares of them, 0..1."""

    ballot: float  # single utterances of unknown speakers that vote for somebody
    right: float  # known speakers who are named rightly at least once
    wrong: float  # known speakers who are named wrongly at least once
    unknown: float  # unknown speakers who are given any name at least once


def load_speakers(work: Path, bundle: Bundle) -> list[Speaker]:
    """Embed the test split with the bundle's models."""
    recipe = load_recipe(Path("default"))
    people = {
        p.id: p
        for p in load_people(work / "people.jsonl")
        if p.kind == "paired" and split_of(p, recipe.population) == "test"
    }
    hears = VoiceEncoder(bundle.open("voice_encoder"), bundle.manifest.traits)
    sees = FaceEncoder(bundle.open("face_encoder"))
    pictures = load_pictures(work / "faces")
    photos = {str(name): pictures.photos[i] for i, name in enumerate(pictures.ids)}
    heard: dict[str, list[Float32]] = {}
    for shard in sorted((work / "features").glob("clips_*.npz")):
        with np.load(shard) as held:
            rows = [(i, str(o)) for i, o in enumerate(held["owners"]) if str(o) in people]
            codes = held["codes"] if rows else None
        for i, owner in rows:
            clip = [hears.encode(version[None]).embedding for version in codes[i]]
            heard.setdefault(owner, []).append(np.array(clip))
    found = []
    for name, person in people.items():
        if len(heard.get(name, ())) > 1 and name in photos:
            shots = np.rint(255 * centre_crop(photos[name][:PHOTOS])).astype(np.uint8)
            *asking, enrolled = heard[name]
            face = sees.embed(shots)
            found.append(Speaker(name, person.male, face, enrolled[0], np.concatenate(asking)))
    return found


def converse(
    speakers: Sequence[Speaker], bundle: Bundle, kind: Kind, size: int, settings: DecisionSettings
) -> Figures:
    """Let a known or an unknown speaker talk, and then another of the same sex, many times."""
    rng = np.random.default_rng([55, size])
    info = bundle.manifest.decision
    if info is None:
        raise SystemExit("the bundle is not calibrated")
    cohort = load_cohort(bundle, info.nearest)
    ballots = rights = wrongs = unknowns = 0
    for _ in range(DRAWS):
        order = rng.permutation(len(speakers))
        enrolled = [speakers[i] for i in order[:size]]
        first = enrolled[0]
        same = [speakers[i] for i in order[size:] if speakers[i].male == first.male]
        second = same[0]
        gallery = _gallery(enrolled, kind)
        judge = Judge(info, cohort, gallery, settings.false_match_rate)
        votes = Votes(settings)
        named: Mapping[str, list[str | None]] = {first.id: [], second.id: []}
        for number, speaker in enumerate([first] * UTTERANCES + [second] * UTTERANCES):
            embedding = speaker.utterances[rng.integers(len(speaker.utterances))]
            matches, verdict = judge.look(embedding, 5)
            voice = VoicePrint(embedding, NO_TRAITS, 1)
            decision = votes.decide(voice, matches, 3.0 * number, verdict)
            named[speaker.id].append(decision.id)
            ballots += speaker is second and verdict.named
        rights += first.id in named[first.id]
        wrongs += any(name not in (None, first.id) for name in named[first.id])
        unknowns += any(named[second.id])
    return Figures(ballots / DRAWS / UTTERANCES, rights / DRAWS, wrongs / DRAWS, unknowns / DRAWS)


def _gallery(people: Sequence[Speaker], kind: Kind) -> Gallery:
    vectors = np.stack([getattr(person, kind) for person in people])
    listed = tuple(
        Person(person.id, person.id, vector, b"")
        for person, vector in zip(people, vectors, strict=True)
    )
    return Gallery("test", listed, (Rows(kind, FlatIndex(vectors), np.arange(len(people))),))


def settings_compared() -> Iterator[tuple[str, DecisionSettings]]:
    """Yield what is compared, the shipped settings first."""
    shipped = DecisionSettings()
    yield "as shipped", shipped
    yield "one utterance is enough", replace(shipped, votes=1, window=1)
    yield "three votes", replace(shipped, votes=3)
    yield "`same_voice` 0.6", replace(shipped, same_voice=0.6)
    yield "`same_voice` 0.9", replace(shipped, same_voice=0.9)
    yield "`false_match_rate` 0.1", replace(shipped, false_match_rate=0.1)


def write_report(speakers: Sequence[Speaker], bundle: Bundle) -> str:
    """Let everybody talk under all settings, and return a page of Markdown."""
    split, merged = _same_voice(speakers, DecisionSettings().same_voice)
    lines = [
        "# Votes",
        "",
        f"Names over conversations of {UTTERANCES} utterances, with speakers that no network and "
        f"no threshold has seen: {len(speakers)} synthetic people in clean and in bad sound, "
        f"{DRAWS} conversations a row. Of those who are enrolled, how many are named rightly or "
        "wrongly at least once; of those who are not, how many are given any name. Who is not "
        "enrolled is of the sex of somebody who is. Made by `make votes WORK=...`.",
        "",
        "| enrolled by | people | settings | an unknown utterance votes | known: right | known: "
        "wrong | unknown: named |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, size in itertools.product(KINDS, SIZES):
        for name, settings in settings_compared():
            found = converse(speakers, bundle, kind, size, settings)
            lines.append(
                f"| {kind} | {size} | {name} | {found.ballot:.1%} | {found.right:.1%} | "
                f"{found.wrong:.1%} | {found.unknown:.1%} |"
            )
    lines += [
        "",
        f"With `same_voice` {DecisionSettings().same_voice:g}, {split:.0%} of utterances are taken "
        f"for another speaker than the three before, of the same speaker; {merged:.0%} of those of "
        "another speaker of the same sex are taken for the same.",
    ]
    return "\n".join(lines) + "\n"


def _same_voice(speakers: Sequence[Speaker], threshold: float) -> tuple[float, float]:
    """Return how often one speaker is taken for two, and two of one sex for one."""
    rng = np.random.default_rng([56])
    split = merged = 0
    for _ in range(DRAWS):
        one, *others = (speakers[i] for i in rng.permutation(len(speakers)))
        other = next(speaker for speaker in others if speaker.male == one.male)
        *before, after = one.utterances[rng.permutation(len(one.utterances))[:4]]
        mean = np.mean(before, axis=0)
        mean /= np.linalg.norm(mean)
        split += float(mean @ after) <= threshold
        merged += float(mean @ other.utterances[rng.integers(len(other.utterances))]) > threshold
    return split / DRAWS, merged / DRAWS


def main() -> int:
    """Print a table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--report", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    report = write_report(load_speakers(arguments.work, bundle), bundle)
    print(report)
    if arguments.report:
        arguments.report.parent.mkdir(exist_ok=True)
        arguments.report.write_text(report, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
