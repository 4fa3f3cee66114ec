"""Whether the best match may be named: a line that rises with the gallery, and a probability.

The evidence for a match is by how much it is nearer to the voice than strangers are (`cohort`):
one minus the ratio of the two angles. What evidence means the bundle carries
(`manifest.DecisionInfo`), measured on the validation split by `convert/calibration.py`: for
galleries of several sizes, what an unknown speaker's best match exceeds at a given rate. Between
sizes and rates the line is interpolated in their logarithms; beyond the largest size it goes on as
between the last two, but never falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..face.gallery import Gallery, Scale
from ..manifest import DecisionInfo, ScoreLaw
from ..types import Float32, Match, Verdict
from .cohort import Cohort
from .person import KINDS, Kind

DEFAULT_RATE = 0.01
NEAR = 10.0  # times the asked rate: what passes that line, but not the asked, is worth a review

Float64 = npt.NDArray[np.float64]


def evidence(cosine: npt.ArrayLike, angle: npt.ArrayLike) -> Float64:
    """Return how much nearer than strangers a match is: 1 at the same place, below 0 farther.

    Args:
        cosine: of the match, any shape.
        angle: `Cohort.angle` of the voice, radians; broadcasts with it.
    """
    own = np.arccos(np.clip(np.asarray(cosine, np.float64), -1.0, 1.0))
    return np.asarray(1.0 - own / np.asarray(angle, np.float64))


class Judge:
    """Ranks a gallery and decides at one false-match rate. Safe to use from any thread."""

    def __init__(self, info: DecisionInfo, cohort: Cohort, gallery: Gallery, rate: float) -> None:
        """Draw the lines.

        Args:
            info: of the bundle that embeds the voices.
            cohort: of that bundle.
            gallery: the people to rank.
            rate: share of an unknown speaker's utterances that may be given a name, 0..1. With
                photos and voices enrolled, each kind gets its part of it by the number of people.
        """
        counts = {kind: gallery.count(kind) for kind in KINDS}
        total = max(sum(counts.values()), 1)
        self._info, self._cohort, self._gallery = info, cohort, gallery
        self._lines = {
            kind: Line(law_of(info, kind), info.rates, count, rate * count / total)
            for kind, count in counts.items()
            if count
        }

    def look(self, voice: Float32, top: int) -> tuple[tuple[Match, ...], Verdict]:
        """Return the `top` best matches of a unit embedding (d,), and a verdict on the first."""
        angles = {kind: self._cohort.angle(voice, kind) for kind in self._lines}
        matches = self._gallery.match(voice, top, self._scales(angles))
        if not matches:
            return matches, Verdict(False, False, 0.0, "nobody is enrolled")
        best = matches[0]
        line = self._lines[best.kind]
        found = float(evidence(best.score, angles[best.kind]))
        probability = float(line.probability(found))
        near = f"{best.kind} {found:+.0%} nearer than strangers"
        need = f"{line.asked:+.0%} among {line.people} people"
        if found >= line.asked:
            return matches, Verdict(True, False, probability, f"{near}, beyond {need}")
        verdict = Verdict(False, found >= line.near, probability, f"{near}, it takes {need}")
        return matches, verdict

    def _scales(self, angles: Mapping[Kind, float]) -> dict[Kind, Scale]:
        """Return what makes this voice's scores with photos and with voices comparable.

        The surprise is minus the decimal logarithm of how often one stranger gives as much
        evidence; from the last that was measured it rises by two up to a cosine of 1.
        """
        surprises = [-math.log10(rate) for rate in self._info.tails]
        surprises = [0.0, *surprises, surprises[-1] + 2.0]
        scales = {}
        for kind, angle in angles.items():
            tail = np.array(law_of(self._info, kind).tail)
            cosines = np.cos(np.clip(angle * (1.0 - tail), 0.0, math.pi)).tolist()
            scales[kind] = Scale((-1.0, *cosines, 1.0), tuple(surprises))
        return scales


class Line:
    """The law of one kind at one size of gallery and one rate."""

    def __init__(self, law: ScoreLaw, rates: Sequence[float], people: int, rate: float) -> None:
        self.people = people
        self._slope = _at(law.sizes, law.slopes, people)
        more = max(math.log(people / law.sizes[-1]), 0.0)  # the odds fall as 1 / people
        self._offset = _at(law.sizes, law.offsets, people) - more
        self.asked = self._evidence(law, rates, rate)
        self.near = self._evidence(law, rates, NEAR * rate)

    def probability(self, found: npt.ArrayLike) -> Float64:
        """Return the probability that the best match is right, for evidence of any shape."""
        x = np.asarray(found, np.float64)
        return np.asarray(0.5 * (1.0 + np.tanh((self._slope * x + self._offset) / 2.0)))

    def _evidence(self, law: ScoreLaw, rates: Sequence[float], rate: float) -> float:
        values = [_beyond(law.sizes, line, self.people) for line in law.lines]
        return float(np.interp(math.log(rate), np.log(rates), values))


def law_of(info: DecisionInfo, kind: Kind) -> ScoreLaw:
    """Return the law of one kind."""
    return info.photo if kind == "photo" else info.voice


def _at(sizes: Sequence[int], values: Sequence[float], people: int) -> float:
    """Interpolate in the logarithm of the size; constant beyond both ends."""
    return float(np.interp(math.log(people), np.log(sizes), values))


def _beyond(sizes: Sequence[int], values: Sequence[float], people: int) -> float:
    """Interpolate in the logarithm of the size; beyond the largest go on rising as before it."""
    if people <= sizes[-1] or len(sizes) < 2:
        return _at(sizes, values, people)
    slope = (values[-1] - values[-2]) / (math.log(sizes[-1]) - math.log(sizes[-2]))
    return values[-1] + max(slope, 0.0) * (math.log(people) - math.log(sizes[-1]))
