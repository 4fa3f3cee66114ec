"""Whether the best match may be named: a line that rises with the gallery, and a probability.

The bundle carries what scores mean (`manifest.DecisionInfo`), measured on the validation split by
`convert/calibration.py`: for galleries of several sizes, the evidence that an unknown speaker's
best match exceeds at a given rate. Between sizes and rates the line is interpolated in their
logarithms; beyond the largest size it goes on as between the last two, but never falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..face.gallery import Gallery, Scale
from ..manifest import DecisionInfo, ScoreLaw
from ..types import Match, Verdict
from .person import KINDS, Kind

DEFAULT_RATE = 0.01
NEAR = 10.0  # times the asked rate: what passes that line, but not the asked, is worth a review


NOBODY = Verdict(False, False, 0.0, "nobody is enrolled")


class Judge:
    """Decides for one gallery at one false-match rate. Safe to use from any thread."""

    def __init__(self, info: DecisionInfo, gallery: Gallery, rate: float) -> None:
        """Draw the lines.

        Args:
            info: of the bundle that embeds the voices.
            gallery: that the matches come from.
            rate: share of an unknown speaker's utterances that may be given a name, 0..1. With
                photos and voices enrolled, each kind gets its part of it by the number of people.
        """
        counts = {kind: gallery.count(kind) for kind in KINDS}
        total = max(sum(counts.values()), 1)
        self._scales = scales(info)
        self._lines = {
            kind: Line(law_of(info, kind), info.rates, count, rate * count / total)
            for kind, count in counts.items()
            if count
        }

    def judge(self, matches: Sequence[Match]) -> Verdict:
        """Judge the best of a ranking, which must hold two people if the gallery does."""
        if not matches or matches[0].kind not in self._lines:
            return NOBODY
        best = matches[0]
        line = self._lines[best.kind]
        second = -1.0
        if len(matches) > 1:
            second = self._translate(matches[1], best.kind)
        evidence = best.score + line.weight * max(best.score - second, 0.0)
        probability = float(line.probability(evidence))
        text = f"score {best.score:.2f}, leading by {max(best.score - second, 0.0):.2f}"
        if evidence >= line.asked:
            return Verdict(True, False, probability, f"{text}, is beyond chance")
        missing = (line.asked - evidence) / (1.0 + line.weight)
        why = f"{text}: {missing:.2f} more are needed among {line.people} people"
        return Verdict(False, evidence >= line.near, probability, why)

    def _translate(self, match: Match, kind: Kind) -> float:
        """Return what the score of a match would be, were it of another kind."""
        if match.kind == kind:
            return match.score
        return self._scales[kind].cosine(self._scales[match.kind].surprise(match.score))


class Line:
    """The law of one kind at one size of gallery and one rate."""

    def __init__(self, law: ScoreLaw, rates: Sequence[float], people: int, rate: float) -> None:
        self.people = people
        self.weight = _at(law.sizes, law.weights, people)
        self._slope = _at(law.sizes, law.slopes, people)
        more = max(math.log(people / law.sizes[-1]), 0.0)  # the odds fall as 1 / people
        self._offset = _at(law.sizes, law.offsets, people) - more
        self.asked = self._evidence(law, rates, rate)
        self.near = self._evidence(law, rates, NEAR * rate)

    def probability(self, evidence: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability that the best match is right, for evidence of any shape."""
        x = np.asarray(evidence, np.float64)
        return np.asarray(0.5 * (1.0 + np.tanh((self._slope * x + self._offset) / 2.0)))

    def _evidence(self, law: ScoreLaw, rates: Sequence[float], rate: float) -> float:
        values = [_beyond(law.sizes, line, self.people) for line in law.lines]
        return float(np.interp(math.log(rate), np.log(rates), values))


def scales(info: DecisionInfo) -> Mapping[Kind, Scale]:
    """Return what makes scores of photos and of voices comparable.

    The surprise is minus the decimal logarithm of how often one stranger's cosine is as high; from
    the last that was measured it rises by two up to a cosine of 1.
    """
    surprises = [-math.log10(rate) for rate in info.tails]
    surprises = [0.0, *surprises, surprises[-1] + 2.0]
    return {kind: Scale((-1.0, *law_of(info, kind).tail, 1.0), tuple(surprises)) for kind in KINDS}


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
