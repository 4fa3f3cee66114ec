"""What scores mean: the manifest's `decision`, measured on speakers that no network was trained on.

Unknown speakers are compared with thousands of random galleries of each size. For every size it
notes how much evidence (`edge.people.decision`) their best match has at each rate and, by logistic
regression on as many known as unknown speakers, the probability that the best match is right. The
utterances of one speaker are alike, so rates are as sure as the number of speakers allows.

The cohort and the strangers who fill galleries come from the training split, where there are
thousands; `open_set_figures` measures on the test split, whose voices have other base voices too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.manifest import DecisionInfo, ScoreLaw
from edge.people.cohort import Cohort
from edge.people.decision import evidence
from edge.people.person import KINDS, Kind
from edge.types import Float32

from .backends import Backend
from .metrics import unit
from .open_set import Float64, Labelled, Trials, run_trials
from .population.people import Split
from .training.batches import centre_crop
from .training.dataset import Dataset, Index

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
TAILS = (0.5, 0.1, 0.01, 0.001, 0.0001)  # of single comparisons, of which there are a million
SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000)
COHORT = 1000  # people; fewer where there are not four times as many strangers
NEAREST = 3  # of them
DRAWN = 4000  # strangers compared with each utterance, at least, over all galleries of a size
# Of a size, at least. A few faces are near to many voices, so that galleries of photos differ: with
# 20 of 1,000 people the rate on the test split was .3 to 1.6 %, as they were drawn, with 200 it is
# .7 to 1 % (measured once, no command repeats it).
GALLERIES = 200
SPARE = 1.1  # times as many strangers as the largest gallery has
VERSIONS = 2  # of each clip: the clean one and one augmented
PHOTOS = 2  # averaged for each enrolled person, as far as there are as many


@dataclass(frozen=True, slots=True)
class Population:
    """One split, embedded."""

    queries: Labelled  # utterances that ask
    enrolled: Mapping[Kind, Labelled]  # the speakers and strangers, a row for each person
    cohort: Cohort  # of others again


def decision_info(population: Population, seed: int) -> DecisionInfo:
    """Measure the split "validation"; the seed draws the galleries."""
    rng = np.random.default_rng([seed, 71])
    laws = {kind: score_law(population, kind, rng) for kind in KINDS}
    speakers = len(np.unique(population.queries.owners))
    nearest = population.cohort.nearest
    return DecisionInfo(RATES, TAILS, nearest, laws["photo"], laws["voice"], speakers)


def embed_splits(
    data: Dataset, backend: Backend, splits: Sequence[Split], seed: int
) -> dict[Split, Population]:
    """Embed who can be enrolled, and utterances of each split's speakers.

    The last clip of a speaker enrols, the others ask.

    Args:
        data: of the work folder the models were trained in.
        backend: runs "voice_encoder" and "face_encoder" as the device does.
        splits: whose speakers are heard.
        seed: chooses the cohort, the same for every split.
    """

    def hear(clips: list[int], version: int) -> Float32:
        codes = data.codes[clips, version, ..., None].astype(np.float32) / 32.0
        return backend.run("voice_encoder", codes)["embedding"]

    speakers = {split: data.rows("paired", split) for split in splits}
    paired = np.concatenate([*speakers.values(), data.rows("paired", "train")])
    photos = _photos(data, np.concatenate([paired, data.rows("face_only", "train")]))
    shots = [backend.run("face_encoder", centre_crop(p))["embedding"] for p in photos.values()]
    owners = np.repeat(np.array(list(photos), np.int64), [len(each) for each in shots])
    speaking = np.concatenate([paired, data.rows("voice_only", "train")])
    last = [int(data.clips_of[p][-1]) for p in speaking]
    everybody: dict[Kind, Labelled] = {
        "photo": Labelled(np.concatenate(shots), owners).centres(),
        "voice": Labelled(hear(last, 0), speaking.astype(np.int64)).centres(),
    }
    found: dict[Split, Population] = {}
    for split, own in speakers.items():
        asking = [(int(p), int(clip)) for p in own for clip in data.clips_of[p][:-1]]
        heard = [hear([clip for _, clip in asking], version) for version in range(VERSIONS)]
        asked_by = np.tile(np.array([person for person, _ in asking], np.int64), VERSIONS)
        others = np.concatenate([rows for other, rows in speakers.items() if other != split])
        enrolled = {kind: people.without(others) for kind, people in everybody.items()}
        queries = Labelled(unit(np.concatenate(heard)), asked_by)
        found[split] = with_cohort(queries, enrolled, seed)
    return found


def with_cohort(queries: Labelled, everybody: Mapping[Kind, Labelled], seed: int) -> Population:
    """Take a cohort out of those who can be enrolled but do not ask."""
    rng = np.random.default_rng([seed, 73])
    enrolled: dict[Kind, Labelled] = {}
    vectors: dict[Kind, Float32] = {}
    for kind, people in everybody.items():
        strangers = people.without(queries.owners)
        count = min(COHORT, len(strangers.owners) // 4)
        rows = np.sort(rng.permutation(len(strangers.owners))[:count])
        vectors[kind] = strangers.vectors[rows]
        enrolled[kind] = people.without(strangers.owners[rows])
    nearest = max(1, min([NEAREST, *(len(rows) for rows in vectors.values())]))
    return Population(queries, enrolled, Cohort(vectors, nearest))


def score_law(population: Population, kind: Kind, rng: np.random.Generator) -> ScoreLaw:
    """Measure one kind of samples; `rng` draws the galleries."""
    queries, enrolled = population.queries, population.enrolled[kind]
    angles = population.cohort.angles(queries.vectors, kind)
    strangers = enrolled.without(queries.owners).vectors
    single = evidence(queries.vectors @ strangers.T, angles[:, None])
    sizes = [size for size in SIZES if SPARE * size <= len(strangers)] or [1]
    lines, slopes, offsets = [], [], []
    for size in sizes:
        trials = run_trials(queries, enrolled, size, max(GALLERIES, DRAWN // size), rng)
        unknown = evidence(trials.unknown, angles)
        lines.append([float(np.quantile(unknown, 1.0 - rate)) for rate in RATES])
        slope, offset = _probability(unknown, evidence(trials.known, angles), trials)
        slopes.append(slope)
        offsets.append(offset)
    return ScoreLaw(
        tuple(round(float(x), 5) for x in np.quantile(single, [1.0 - rate for rate in TAILS])),
        tuple(sizes),
        tuple(tuple(round(line[i], 5) for line in lines) for i in range(len(RATES))),
        tuple(round(slope, 5) for slope in slopes),
        tuple(round(offset, 5) for offset in offsets),
    )


def _probability(unknown: Float64, known: Float64, trials: Trials) -> tuple[float, float]:
    """Fit logistic(slope * evidence + offset) to "the best is the speaker" (Newton's method)."""
    x = np.concatenate([unknown.ravel(), known.ravel()]).astype(np.float64)
    y = np.concatenate([np.zeros(unknown.size), trials.right.ravel()])
    centre, scale = x.mean(), x.std() + 1e-9
    columns = np.column_stack([(x - centre) / scale, np.ones(len(x))])
    theta: Float64 = np.zeros(2)
    ridge = np.diag([1.0, 0.0])  # of one trial: keeps separable trials from an endless slope
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-np.clip(columns @ theta, -30, 30)))
        gradient = columns.T @ (y - p) - ridge @ theta
        curvature = (columns * (p * (1.0 - p))[:, None]).T @ columns + ridge + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step
        if float(np.abs(step).max()) < 1e-8:
            break
    slope = max(float(theta[0]) / scale, 0.0)
    return slope, float(theta[1]) - slope * centre


def _photos(data: Dataset, people: Index) -> dict[int, npt.NDArray[np.uint8]]:
    """Return the varied photos of people, at most `PHOTOS` each; of some there is only one."""
    found = {}
    for person in people:
        pictures = data.pictures[person]
        if pictures is not None:
            found[int(person)] = pictures[1 : 1 + PHOTOS] if len(pictures) > 1 else pictures
    return found
