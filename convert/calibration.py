"""What scores mean: the manifest's `decision`, measured on speakers that no network was trained on.

Unknown speakers are compared with thousands of random galleries of each size. For every size it
notes how much evidence their best match has at each rate, which weight of the lead over the second
lets most known speakers be named, and, by logistic regression on as many known as unknown speakers,
the probability that the best match is right. The utterances of one speaker are alike, so rates are
as sure as the number of speakers allows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.manifest import DecisionInfo, ScoreLaw
from edge.types import Float32

from .backends import Backend
from .metrics import unit
from .open_set import Labelled, Trials, detection, run_trials
from .population.people import Split
from .training.batches import centre_crop
from .training.dataset import Dataset, Index

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
TAILS = (0.5, 0.1, 0.01, 0.001, 0.0001)  # of single comparisons, of which there are a million
SIZES = (1, 3, 10, 30, 100, 300, 1000, 3000)
WEIGHTS = (0.0, 0.25, 0.5, 1.0)
TUNED = (0.01, 0.03, 0.1)  # false-match rates at which the weight is chosen
DRAWN = 4000  # strangers compared with each utterance, at least, over all galleries of a size
GALLERIES = 20  # of a size, at least
SPARE = 1.1  # times as many strangers as the largest gallery has
VERSIONS = 2  # of each clip: the clean one and one augmented
PHOTOS = 2  # averaged for each enrolled person, as far as there are as many

Float64 = npt.NDArray[np.float64]


def decision_info(data: Dataset, backend: Backend, seed: int) -> DecisionInfo:
    """Measure the validation split.

    Args:
        data: of the work folder the models were trained in.
        backend: runs "voice_encoder" and "face_encoder" as the device does.
        seed: of the galleries.
    """
    photos, voices, queries = embed_split(data, backend, "validation")
    rng = np.random.default_rng([seed, 71])
    return DecisionInfo(
        RATES,
        TAILS,
        score_law(queries, photos, rng),
        score_law(queries, voices, rng),
        len(np.unique(queries.owners)),
    )


def embed_split(
    data: Dataset, backend: Backend, split: Split
) -> tuple[Labelled, Labelled, Labelled]:
    """Embed who can be enrolled, and utterances of one split's speakers.

    The last clip of a speaker enrols, the others ask. Strangers who only fill galleries come from
    the training split: on these the encoders do as on others (a test of the bundle holds them to
    it), and there are thousands.

    Returns:
        A row for each person by photos, a row for each by voice, the utterances that ask.
    """

    def hear(clips: list[int], version: int) -> Float32:
        codes = data.codes[clips, version, ..., None].astype(np.float32) / 32.0
        return backend.run("voice_encoder", codes)["embedding"]

    own = data.rows("paired", split)
    strangers = np.concatenate([data.rows("paired", "train"), data.rows("face_only", "train")])
    speaking = np.concatenate([data.rows("paired", "train"), data.rows("voice_only", "train")])
    photos = _photos(data, np.concatenate([own, strangers]))
    shots = [backend.run("face_encoder", centre_crop(p))["embedding"] for p in photos.values()]
    owners = np.repeat(np.array(list(photos), np.int64), [len(own) for own in shots])
    seen = Labelled(np.concatenate(shots), owners)
    everybody = np.concatenate([own, speaking])
    last = [int(data.clips_of[p][-1]) for p in everybody]
    heard = Labelled(hear(last, 0), everybody.astype(np.int64))
    asking = [(int(p), int(clip)) for p in own for clip in data.clips_of[p][:-1]]
    clips = [clip for _, clip in asking]
    queries = Labelled(
        np.concatenate([hear(clips, version) for version in range(VERSIONS)]),
        np.tile(np.array([person for person, _ in asking], np.int64), VERSIONS),
    )
    return seen.centres(), heard.centres(), queries


def score_law(queries: Labelled, enrolled: Labelled, rng: np.random.Generator) -> ScoreLaw:
    """Measure one kind of samples; see `run_trials` for the arguments."""
    strangers = np.isin(enrolled.owners, queries.owners, invert=True)
    cosines = unit(queries.vectors) @ enrolled.vectors[strangers].T
    sizes = [size for size in SIZES if SPARE * size <= strangers.sum()] or [1]
    weights: list[float] = []
    lines: list[list[float]] = []
    slopes, offsets = [], []
    for size in sizes:
        trials = run_trials(queries, enrolled, size, max(GALLERIES, DRAWN // size), rng)
        last = size == sizes[-1] and len(sizes) > 1
        # the last two share a weight, so that their lines can be continued
        weight = weights[-1] if last else _best_weight(trials)
        unknown = evidence(trials.unknown, weight)
        weights.append(weight)
        lines.append([float(np.quantile(unknown, 1.0 - rate)) for rate in RATES])
        slope, offset = _probability(unknown, evidence(trials.known, weight), trials)
        slopes.append(slope)
        offsets.append(offset)
    return ScoreLaw(
        tuple(round(float(x), 5) for x in np.quantile(cosines, [1.0 - rate for rate in TAILS])),
        tuple(sizes),
        tuple(weights),
        tuple(tuple(round(line[i], 5) for line in lines) for i in range(len(RATES))),
        tuple(round(slope, 5) for slope in slopes),
        tuple(round(offset, 5) for offset in offsets),
    )


def evidence(highest: Float32, weight: float) -> Float32:
    """Return the evidence for the best of two scores (..., 2), as `edge.people.decision` has it."""
    return np.asarray(highest[..., 0] + weight * (highest[..., 0] - highest[..., 1]))


def _best_weight(trials: Trials) -> float:
    """Return the weight with which most known speakers are named; the least of equal ones."""

    def named(weight: float) -> float:
        unknown, known = evidence(trials.unknown, weight), evidence(trials.known, weight)
        return float(np.mean(detection(unknown, known, trials.right, TUNED)))

    return max(WEIGHTS, key=lambda weight: (named(weight), -weight))


def _probability(unknown: Float32, known: Float32, trials: Trials) -> tuple[float, float]:
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
