"""Naming: the asked rate is kept for every size of gallery, on speakers that were not measured."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict
from functools import cache

import numpy as np
import pytest

from convert import calibration
from convert.calibration import RATES, SIZES, TAILS, evidence, score_law
from convert.open_set import Labelled, detection, run_trials
from edge.errors import BundleError
from edge.face.gallery import Gallery, Rows
from edge.manifest import DecisionInfo, ScoreLaw
from edge.people.decision import Judge, Line, scales
from edge.people.flat_index import FlatIndex
from edge.people.person import Kind
from edge.schema import read_dataclass
from edge.types import Match

DIM, LATENT = 24, 8
NOISE: dict[Kind, float] = {"photo": 0.9, "voice": 0.15}  # a voice is much more like itself


def world(people: int, seed: int) -> tuple[Labelled, dict[Kind, Labelled]]:
    """Return two utterances of each person, and a row by photo and one by voice."""
    rng = np.random.default_rng([61, seed])
    mixing = np.random.default_rng([62]).normal(size=(LATENT, DIM))
    latent = rng.normal(size=(people, LATENT))
    owners = np.arange(people) + 100_000 * seed

    def embed(noise: float, copies: int = 1) -> np.ndarray:
        seen = np.tile(latent, (copies, 1))
        vectors = (seen + noise * rng.normal(size=seen.shape)) @ mixing
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    queries = Labelled(embed(NOISE["voice"], 2), np.tile(owners, 2))
    return queries, {kind: Labelled(embed(noise), owners) for kind, noise in NOISE.items()}


def among(own: Labelled, others: Labelled) -> Labelled:
    return Labelled(
        np.concatenate([own.vectors, others.vectors]), np.concatenate([own.owners, others.owners])
    )


@cache
def measured() -> DecisionInfo:
    """Calibrate on 500 speakers among 2,600 strangers, with fewer galleries than for a bundle."""
    queries, own = world(500, 1)
    _, strangers = world(2_600, 2)
    rng = np.random.default_rng([63])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "DRAWN", 1_000)
        patch.setattr(calibration, "GALLERIES", 6)
        laws = [score_law(queries, among(own[kind], strangers[kind]), rng) for kind in NOISE]
    return DecisionInfo(RATES, TAILS, laws[0], laws[1], 500)


def gallery_of(rows: dict[Kind, np.ndarray]) -> Gallery:
    """Return a gallery whose people have a photo, or a voice, in the order given."""
    found, first = [], 0
    for kind, vectors in rows.items():
        found.append(Rows(kind, FlatIndex(vectors), np.arange(first, first + len(vectors))))
        first += len(vectors)
    people = Numbered(first)
    return Gallery("space", people, tuple(found), DIM)  # type: ignore[arg-type]


class Numbered:
    """People who are nothing but a number."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int) -> object:
        return type("P", (), {"id": f"p{position}", "name": f"P{position}"})


@pytest.mark.parametrize("kind", ["photo", "voice"])
@pytest.mark.parametrize("people", [10, 100, 1000])
def test_one_in_a_hundred_strangers_is_named(kind: Kind, people: int) -> None:
    info = measured()
    queries, _ = world(400, 3)
    _, strangers = world(3_000, 4)
    rng = np.random.default_rng([64])
    named = []
    for _ in range(max(4, 80 // people)):
        drawn = rng.choice(3_000, people, replace=False)
        gallery = gallery_of({kind: strangers[kind].vectors[drawn]})
        judge = Judge(info, gallery, 0.01)
        named += [
            judge.judge(gallery.match(query, 2, scales(info))).named for query in queries.vectors
        ]
    assert 0.005 <= np.mean(named) <= 0.015


@pytest.mark.parametrize("rate", [0.003, 0.03])
@pytest.mark.parametrize("people", [2, 50, 400])
def test_other_rates_and_sizes_between_are_kept_too(rate: float, people: int) -> None:
    info = measured()
    queries, own = world(500, 5)
    _, strangers = world(2_000, 6)
    rng = np.random.default_rng([65])
    for kind, law in (("photo", info.photo), ("voice", info.voice)):
        enrolled = among(own[kind], strangers[kind])  # type: ignore[index]
        trials = run_trials(queries, enrolled, people, max(20, 2_000 // people), rng)
        line = Line(law, info.rates, people, rate)
        found = (evidence(trials.unknown, line.weight) >= line.asked).mean()
        assert 0.4 * rate <= found <= 1.8 * rate  # of a thousand utterances three, or thirty


def test_with_photos_and_voices_enrolled_the_rate_is_kept_together() -> None:
    info = measured()
    queries, _ = world(600, 7)
    _, strangers = world(200, 8)
    gallery = gallery_of({kind: strangers[kind].vectors[:60] for kind in NOISE})
    judge = Judge(info, gallery, 0.02)
    verdicts = [judge.judge(gallery.match(q, 2, scales(info))) for q in queries.vectors]
    assert 0.004 <= np.mean([verdict.named for verdict in verdicts]) <= 0.03
    assert any(verdict.near for verdict in verdicts)
    assert not any(verdict.near and verdict.named for verdict in verdicts)


def test_a_voice_that_is_enrolled_is_named_much_more_often_than_a_face() -> None:
    info = measured()
    queries, own = world(300, 9)
    named = {}
    for kind in NOISE:
        gallery = gallery_of({kind: own[kind].vectors[:40]})
        judge = Judge(info, gallery, 0.01)
        right = 0
        for person in range(40):
            matches = gallery.match(queries.vectors[person], 5, scales(info))
            verdict = judge.judge(matches)
            right += verdict.named and matches[0].id == f"p{person}"
        named[kind] = right
    assert named["voice"] > 20 > named["photo"]


def test_probabilities_are_what_they_say() -> None:
    info = measured()
    queries, own = world(500, 10)
    _, strangers = world(1_000, 11)
    rng = np.random.default_rng([66])
    for people in (10, 100):
        enrolled = among(own["voice"], strangers["voice"])
        trials = run_trials(queries, enrolled, people, 10, rng)
        line = Line(info.voice, info.rates, people, 0.01)
        stated = np.concatenate(
            [
                line.probability(evidence(x, line.weight)).ravel()
                for x in (trials.unknown, trials.known)
            ]
        )
        true = np.concatenate([np.zeros(trials.unknown.shape[:2]).ravel(), trials.right.ravel()])
        within = np.digitize(stated, [0.2, 0.4, 0.6, 0.8])
        gaps = [(within == i).mean() * abs((stated - true)[within == i].mean()) for i in range(5)]
        assert sum(gaps) < 0.05  # expected calibration error (Naeini et al. 2015)


def test_the_line_rises_with_the_gallery_and_falls_with_the_rate() -> None:
    info = measured()
    for law in (info.photo, info.voice):
        lines = [Line(law, info.rates, 10, rate).asked for rate in (0.001, 0.01, 0.1)]
        assert lines == sorted(lines, reverse=True)
        flat = dataclasses.replace(law, weights=tuple(0.0 for _ in law.sizes))
        assert Line(flat, info.rates, 10**6, 0.01).asked >= Line(flat, info.rates, 3000, 0.01).asked
        assert Line(law, info.rates, 10**6, 0.01).probability(0.5) < 0.5


def test_verdicts_say_why() -> None:
    judge = Judge(measured(), gallery_of({"photo": np.eye(DIM, dtype=np.float32)[:3]}), 0.01)
    assert judge.judge(()).why == "nobody is enrolled"
    low = judge.judge((Match(1, "a", "A", 0.2), Match(2, "b", "B", 0.1)))
    assert not low.named
    assert low.why.startswith("score 0.20, leading by 0.10: ")
    assert low.why.endswith(" more are needed among 3 people")
    assert judge.judge((Match(1, "a", "A", 1.0), Match(2, "b", "B", -1.0))).named
    empty = Judge(measured(), Gallery("space"), 0.01)
    assert empty.judge((Match(1, "a", "A", 1.0),)).named is False


def test_what_is_measured_goes_through_the_manifest() -> None:
    info = measured()
    assert read_dataclass(DecisionInfo, json.loads(json.dumps(asdict(info))), BundleError) == info
    assert isinstance(info.photo, ScoreLaw)
    assert info.photo.sizes == SIZES[:-1]  # there are not enough strangers for 3,000
    assert {len(law.weights) for law in (info.photo, info.voice)} == {len(SIZES) - 1}
    assert info.photo.weights[-1] == info.photo.weights[-2]  # so that it can be continued


def test_detection_at_false_alarm_rates() -> None:
    unknown = np.linspace(0, 1, 1001, dtype=np.float32)
    known = np.array([0.5, 0.95, 0.995], np.float32)
    right = np.array([True, False, True])
    assert detection(unknown, known, right, [0.6, 0.1, 0.001]) == pytest.approx([2 / 3, 1 / 3, 0])


def test_galleries_without_the_speaker_are_really_without() -> None:
    queries, own = world(20, 12)
    _, strangers = world(50, 13)
    enrolled = among(own["voice"], strangers["voice"])
    trials = run_trials(queries, enrolled, 50, 2, np.random.default_rng(0))
    scores = queries.vectors @ strangers["voice"].vectors.T
    np.testing.assert_allclose(trials.unknown[0, :, 0], scores.max(axis=1), atol=1e-6)
    alone = run_trials(queries, enrolled, 1, 3, np.random.default_rng(0))
    assert alone.right.all()
    assert (alone.known[..., 1] == -1).all()
    with pytest.raises(ValueError, match="50 strangers cannot fill"):
        run_trials(queries, enrolled, 51, 1, np.random.default_rng(0))
