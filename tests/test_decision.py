"""Naming: the asked rate is kept for every size of gallery, on speakers that were not measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from convert import calibration
from convert.calibration import (
    RATES,
    SIZES,
    TAILS,
    Population,
    decision_info,
    with_cohort,
)
from convert.open_set import Labelled, detection, run_trials
from convert.open_set_figures import open_set_figures, table
from edge.errors import BundleError
from edge.face.gallery import Gallery, Rows
from edge.manifest import DecisionInfo, ScoreLaw, file_info
from edge.people.cohort import Cohort, load_cohort, pack_cohort, unpack_cohort
from edge.people.decision import Judge, Line, evidence
from edge.people.flat_index import FlatIndex
from edge.people.person import KINDS, Kind
from edge.schema import read_dataclass
from tests.fakes import FakeBundle

DIM, LATENT = 24, 8
NOISE: dict[Kind, float] = {"photo": 0.9, "voice": 0.15}  # a voice is much more like itself
STRANGERS = 1_000_000  # their owners' numbers begin here


def world(people: int, seed: int, crowding: float = 1.0) -> tuple[Labelled, dict[Kind, Labelled]]:
    """Return two utterances of each person, and a row by photo and one by voice.

    A `crowding` above one draws people nearer to each other, as children's voices are.
    """
    rng = np.random.default_rng([61, seed])
    mixing = np.random.default_rng([62]).normal(size=(LATENT, DIM))
    latent = rng.normal(size=(people, LATENT)) + np.linspace(0, crowding - 1, people)[:, None]
    owners = np.arange(people) + 10_000 * seed

    def embed(kind: Kind, copies: int = 1) -> np.ndarray:
        seen = np.tile(latent, (copies, 1))
        vectors = (seen + NOISE[kind] * rng.normal(size=seen.shape)) @ mixing
        vectors[:, 0] += 14.0 * (kind == "voice")  # voices are more like voices than like faces
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    queries = Labelled(embed("voice", 2), np.tile(owners, 2))
    return queries, {kind: Labelled(embed(kind), owners) for kind in KINDS}


@cache
def strangers() -> dict[Kind, Labelled]:
    _, people = world(2_600, 2)
    return people


def population(speakers: int, seed: int, crowding: float = 1.0) -> Population:
    """Return speakers among strangers, who are always the same."""
    queries, own = world(speakers, seed, crowding)
    everybody = {
        kind: Labelled(
            np.concatenate([own[kind].vectors, strangers()[kind].vectors]),
            np.concatenate([own[kind].owners, strangers()[kind].owners + STRANGERS]),
        )
        for kind in KINDS
    }
    return with_cohort(queries, everybody, seed=7)


@cache
def measured() -> DecisionInfo:
    """Calibrate on 900 speakers, with fewer galleries than for a bundle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "DRAWN", 1_000)
        patch.setattr(calibration, "GALLERIES", 6)
        return decision_info(population(900, 1), seed=3)


class Numbered:
    """People who are nothing but a number."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> object:
        return type("P", (), {"id": f"p{position}", "name": f"P{position}"})


def gallery_of(rows: dict[Kind, np.ndarray]) -> Gallery:
    """Return a gallery whose people have a photo, or a voice, in the order given."""
    found, first = [], 0
    for kind, vectors in rows.items():
        found.append(Rows(kind, FlatIndex(vectors), np.arange(first, first + len(vectors))))
        first += len(vectors)
    return Gallery("space", Numbered(first), tuple(found), DIM)  # type: ignore[arg-type]


def judge_of(people: Population, rows: dict[Kind, np.ndarray], rate: float = 0.01) -> Judge:
    return Judge(measured(), people.cohort, gallery_of(rows), rate)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [10, 100, 1000])
def test_one_in_a_hundred_strangers_is_named(kind: Kind, size: int) -> None:
    people = population(900, 3)
    others = people.enrolled[kind].without(people.queries.owners).vectors
    rng = np.random.default_rng([64])
    named = []
    for _ in range(max(3, 40 // size)):
        judge = judge_of(people, {kind: others[rng.choice(len(others), size, replace=False)]})
        named += [judge.look(query, 2)[1].named for query in people.queries.vectors]
    assert 0.005 <= np.mean(named) <= 0.015


def test_speakers_who_are_like_each_other_are_not_named_more_often() -> None:
    """The cohort takes out that some voices are near to everybody."""
    people = population(400, 4, crowding=1.6)
    for figure in open_set_figures(measured(), people, seed=5):
        assert 0.003 <= figure.false_rate <= 0.02, figure


@pytest.mark.parametrize("rate", [0.02, 0.05])
def test_other_rates_are_kept_too(rate: float) -> None:
    figures = open_set_figures(measured(), population(500, 5), seed=6, asked=rate)
    assert [(f.kind, f.people) for f in figures] == [(k, n) for k in KINDS for n in (10, 100, 1000)]
    for figure in figures:
        assert 0.4 * rate <= figure.false_rate <= 1.8 * rate, figure
        low, high = figure.gallery_rates
        assert low < figure.false_rate < high  # galleries differ, and none is like all together
        assert figure.detection + figure.mistaken <= 1
        assert figure.detection <= figure.right
    assert len(list(table(figures))) == 2 + len(figures)


@pytest.mark.parametrize("size", [2, 50, 400])
def test_sizes_between_are_kept_too(size: int) -> None:
    people = population(500, 6)
    rng = np.random.default_rng([65])
    for kind, law in (("photo", measured().photo), ("voice", measured().voice)):
        enrolled = people.enrolled[kind]  # type: ignore[index]
        trials = run_trials(people.queries, enrolled, size, max(20, 2_000 // size), rng)
        angles = people.cohort.angles(people.queries.vectors, kind)  # type: ignore[arg-type]
        line = Line(law, RATES, size, 0.01)
        found = (evidence(trials.unknown, angles) >= line.asked).mean()
        assert 0.005 <= found <= 0.016


def test_with_photos_and_voices_enrolled_the_rate_is_kept_together() -> None:
    people = population(600, 7)
    rows = {
        kind: people.enrolled[kind].without(people.queries.owners).vectors[:60] for kind in KINDS
    }
    judge = judge_of(people, rows, 0.02)
    verdicts = [judge.look(query, 2)[1] for query in people.queries.vectors]
    assert 0.004 <= np.mean([verdict.named for verdict in verdicts]) <= 0.03
    assert any(verdict.near for verdict in verdicts)
    assert not any(verdict.near and verdict.named for verdict in verdicts)


def test_a_voice_that_is_enrolled_is_named_much_more_often_than_a_face() -> None:
    people = population(300, 9)
    own = people.queries.owners[:40]
    right = {}
    for kind in KINDS:
        enrolled = people.enrolled[kind]
        rows = enrolled.vectors[[int(np.flatnonzero(enrolled.owners == o)[0]) for o in own]]
        judge = judge_of(people, {kind: rows})
        seen = [judge.look(people.queries.vectors[i], 5) for i in range(40)]
        right[kind] = sum(v.named and m[0].id == f"p{i}" for i, (m, v) in enumerate(seen))
    assert right["voice"] > 20 > right["photo"]


def test_photos_and_voices_are_ranked_by_how_surprising_they_are() -> None:
    """Any voice has a higher cosine than the right face; it must not win by that alone."""
    people = population(300, 10)
    own = people.queries.owners[:60]
    faces = people.enrolled["photo"]
    rows = faces.vectors[[int(np.flatnonzero(faces.owners == o)[0]) for o in own]]
    others = people.enrolled["voice"].without(people.queries.owners).vectors[:60]
    judge = judge_of(people, {"photo": rows, "voice": others})
    plain = gallery_of({"photo": rows, "voice": others})
    queries = people.queries.vectors[:60]
    by_cosine = np.mean([plain.match(query, 1)[0].kind == "photo" for query in queries])
    by_surprise = np.mean([judge.look(query, 1)[0][0].kind == "photo" for query in queries])
    assert by_cosine < 0.2
    assert by_surprise > 0.5


def test_probabilities_are_what_they_say() -> None:
    people = population(500, 11)
    angles = people.cohort.angles(people.queries.vectors, "voice")
    rng = np.random.default_rng([66])
    for size in (10, 100):
        trials = run_trials(people.queries, people.enrolled["voice"], size, 10, rng)
        line = Line(measured().voice, RATES, size, 0.01)
        seen = [line.probability(evidence(x, angles)) for x in (trials.unknown, trials.known)]
        stated = np.concatenate([each.ravel() for each in seen])
        true = np.concatenate([np.zeros(trials.unknown.size), trials.right.ravel()])
        within = np.digitize(stated, [0.2, 0.4, 0.6, 0.8])
        gaps = [(within == i).mean() * abs((stated - true)[within == i].mean()) for i in range(5)]
        assert np.nansum(gaps) < 0.05  # expected calibration error (Naeini et al. 2015)


def test_the_line_rises_with_the_gallery_and_falls_with_the_rate() -> None:
    for law in (measured().photo, measured().voice):
        lines = [Line(law, RATES, 10, rate).asked for rate in (0.001, 0.01, 0.1)]
        assert lines == sorted(lines, reverse=True)
        lines = [Line(law, RATES, size, 0.01).asked for size in (1, 10, 100, 1000, 10**6)]
        assert lines == sorted(lines)
        assert Line(law, RATES, 10**7, 0.01).probability(0.0) < 0.05


def test_verdicts_say_why() -> None:
    people = population(20, 12)
    judge = judge_of(people, {"photo": np.eye(DIM, dtype=np.float32)[:3]})
    matches, verdict = judge.look(np.eye(DIM, dtype=np.float32)[0], 2)
    assert (matches[0].id, verdict.named) == ("p0", True)
    assert verdict.why.startswith("photo +100% nearer than strangers, beyond ")
    far, verdict = judge.look(-np.ones(DIM, np.float32) / np.float32(np.sqrt(DIM)), 2)
    assert (len(far), verdict.named, verdict.near) == (2, False, False)
    assert verdict.why.endswith(" among 3 people")
    assert ", it takes " in verdict.why
    nobody, verdict = judge_of(people, {}).look(np.eye(DIM, dtype=np.float32)[0], 2)
    assert (nobody, verdict.why) == ((), "nobody is enrolled")


def test_what_is_measured_goes_through_the_manifest() -> None:
    info = measured()
    assert read_dataclass(DecisionInfo, json.loads(json.dumps(asdict(info))), BundleError) == info
    assert info.photo.sizes == SIZES[:-1]  # there are not enough strangers for 3,000
    assert [len(law.tail) for law in (info.photo, info.voice)] == [len(TAILS)] * 2
    assert isinstance(info.photo, ScoreLaw)


def test_evidence_is_a_ratio_of_angles() -> None:
    assert evidence(1.0, 0.4) == 1.0
    assert evidence(np.cos(0.4), 0.4) == pytest.approx(0.0)
    assert evidence(np.cos(0.8), 0.4) == pytest.approx(-1.0)
    assert evidence(1.0001, 0.4) == 1.0  # rounding of a cosine


def test_the_nearest_of_the_cohort_count() -> None:
    cohort = Cohort({kind: np.eye(4, dtype=np.float32) for kind in KINDS}, 2)
    voice = np.float32([0.8, 0.6, 0, 0])
    assert cohort.angle(voice, "photo") == pytest.approx(np.arccos(0.7))
    assert Cohort(cohort.vectors, 1).angle(voice, "voice") == pytest.approx(np.arccos(0.8))
    near = Cohort(cohort.vectors, 1).angle(np.float32([1, 0, 0, 0]), "photo")
    assert near == pytest.approx(1e-3)  # never zero: a ratio is taken of it


def test_a_cohort_survives_its_file() -> None:
    people = population(30, 13).cohort
    packed = pack_cohort(people.vectors)
    again = unpack_cohort(packed, people.nearest)
    assert pack_cohort(people.vectors) == packed
    for kind in KINDS:
        np.testing.assert_allclose(again.vectors[kind], people.vectors[kind], atol=0.01)
        np.testing.assert_allclose(np.linalg.norm(again.vectors[kind], axis=1), 1.0, atol=1e-6)
    for broken in (b"", b"hello", packed[:-60], packed[: len(packed) // 2]):
        with pytest.raises(ValueError, match="not a cohort"):
            unpack_cohort(broken, 1)
    with pytest.raises(ValueError, match="fewer than"):
        unpack_cohort(packed, 10**6)


def test_a_bundle_whose_cohort_does_not_fit(tmp_path: Path) -> None:
    vectors = {kind: np.eye(128, dtype=np.float32)[:9] for kind in KINDS}

    def bundle(content: bytes, change: Callable[[FakeBundle], None] | None = None) -> FakeBundle:
        found = FakeBundle()
        found.path = tmp_path
        (tmp_path / "cohort.npz").write_bytes(content)
        files = {"cohort": file_info("cohort.npz", content)}
        found.manifest = dataclasses.replace(found.manifest, files=files)
        if change:
            change(found)
        return found

    assert load_cohort(bundle(pack_cohort(vectors)), 3).nearest == 3  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="fewer than 10 people"):
        load_cohort(bundle(pack_cohort(vectors)), 10)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="install the bundle again"):
        load_cohort(bundle(b"hello"), 3)  # type: ignore[arg-type]
    short = {kind: np.eye(16, dtype=np.float32) for kind in KINDS}
    with pytest.raises(BundleError, match="not of 128 dimensions"):
        load_cohort(bundle(pack_cohort(short)), 3)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="missing, though there is a decision"):
        load_cohort(FakeBundle(), 3)  # type: ignore[arg-type]


def test_detection_at_false_alarm_rates() -> None:
    unknown = np.linspace(0, 1, 1001, dtype=np.float32)
    known = np.array([0.5, 0.95, 0.995], np.float32)
    right = np.array([True, False, True])
    assert detection(unknown, known, right, [0.6, 0.1, 0.001]) == pytest.approx([2 / 3, 1 / 3, 0])


def test_galleries_without_the_speaker_are_really_without() -> None:
    people = population(20, 14)
    enrolled = people.enrolled["voice"]
    others = enrolled.without(people.queries.owners)
    count = len(others.owners)
    trials = run_trials(people.queries, enrolled, count, 2, np.random.default_rng(0))
    scores = people.queries.vectors @ others.vectors.T
    np.testing.assert_allclose(trials.unknown[0], scores.max(axis=1), atol=1e-6)
    alone = run_trials(people.queries, enrolled, 1, 3, np.random.default_rng(0))
    assert alone.right.all()
    place = {owner: row for row, owner in enumerate(enrolled.owners)}
    own = enrolled.vectors[[place[owner] for owner in people.queries.owners]]
    cosines = (people.queries.vectors * own).sum(axis=1)
    np.testing.assert_allclose(alone.known, np.tile(cosines, (3, 1)), atol=1e-6)
    with pytest.raises(ValueError, match="strangers cannot fill"):
        run_trials(people.queries, enrolled, count + 1, 1, np.random.default_rng(0))


def test_nobody_of_the_cohort_is_in_a_gallery() -> None:
    people = population(50, 15)
    for kind in KINDS:
        rows = {row.tobytes() for row in people.enrolled[kind].vectors}
        assert not rows & {row.tobytes() for row in people.cohort.vectors[kind]}
        assert len(people.cohort.vectors[kind]) == 650  # a quarter of the strangers
