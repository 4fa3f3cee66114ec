"""The law that joins a voice and a face: the one place where it is written down.

A person is drawn as a set of latents. The voice is rendered from the acoustic ones, the face from
`male`, `face_years` and `size`; everything else about a face (skin, hair, eyes, detail shape) is
drawn independently of the voice, because a voice says little or nothing about it.

Shared between voice and face
    sex      1:1.
    age      calendar years; the face looks older or younger by a normal error with standard
             deviation 0.4 + 0.06 years (an assumption: 0.7 y at 5, 2.8 y at 40, 5.2 y at 80).
    size     face size axis s = r z + sqrt(1 - r²) e with z the vocal-tract length standardised
             within sex and age class and r = 0.3 (an assumption: within one sex formants
             tell little of height, Pisanski et al. 2014).

Acoustics of each class
    adult F0        118 Hz men (SD 2.6 st), 207 Hz women (2.3 st): Traunmüller & Eriksson 1995.
    within adults   men fall slightly to about 45 and rise after 55, women fall steadily:
                    Hollien & Shipp 1972, Nishio & Niimi 2008, Stathopoulos et al. 2011.
    elderly F0      138 Hz men (3.0 st), 183 Hz women (2.8 st): same sources.
    elderly voice   tempo falls by a fifth (old people take a fifth to a quarter longer: Smith,
                    Wasowicz & Preston 1987), jitter rises by a third (Wilcox & Horii 1980: .57 %
                    in young men, .76 % in old ones), shimmer by a seventh and breathiness by half
                    (assumptions; their direction after Linville & Korabic 1987). Slopes and r were
                    chosen so that the ideal observer of the sound comes close to what the papers'
                    best system reaches on VoxCeleb1 (87 % / 78 %), and knows an age mostly by
                    what a window of log-mel can tell.
    children F0     300 → 240 Hz between 4 and 12.5 years: Sorenson 1989, Lee et al. 1999.
    vocal tract     men 17.2 ± 0.9 cm, women 14.8 ± 0.75 cm, children 10.8 → 13.7 cm: acoustic
                    lengths from the formants of Fant 1960, Peterson & Barney 1952 and
                    Hillenbrand et al. 1995; growth from Fitch & Giedd 1999.

What F0, tract and source leave open
    recordings      most voices start from a recording of a person. Under an adult's lies one of
                    the same sex, with odds of 13 to 1, so that whatever else men's and women's
                    voices differ in can be learnt and counts for no more than it should: a dozen
                    recorded speakers are soon known by heart, and who hears a stranger must not
                    take his likeness to one of them for certain. Under a decorrelated speaker's
                    lies whom `male` says, which means nothing else for them. Who trains may start
                    from thirty more recorded people (voices/recordings.py), who are in no test.
    no vocoder      of those recordings, some are heard as they are, only faster or slower
                    (voices/resampled.py): a voice that is not one of the population's.

Where a number has no source it is marked "assumption" in the code.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

AgeClass = Literal["child", "adult", "elderly"]
Kind = Literal["paired", "voice_only", "face_only"]

AGE_CLASSES: tuple[AgeClass, ...] = ("child", "adult", "elderly")
YEARS: dict[AgeClass, tuple[float, float]] = {
    "child": (4.0, 12.5),
    "adult": (18.0, 65.0),
    "elderly": (65.0, 90.0),
}
RECORDED_SHARE = 0.65  # the rest are synthesised; both sources together beat either alone
# assumption: a linear reader of voiced spectra, stretched to one length, told the sex of 13 of 14
# recorded speakers it had not heard; measured once, no command repeats it
RECORDING_ODDS = 13.0  # that a recorded speaker has the sex of the adult whose voice it becomes
MIX = (0.15, 0.65, 0.20)  # child, adult, elderly: nearest to the published world
SIZE_FROM_TRACT = 0.3  # r above
VOICE_ONLY_F0_HZ, VOICE_ONLY_TRACT_CM = (80.0, 340.0), (10.8, 19.6)  # each evenly in logarithm


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic person; immutable, a pure function of (population seed, index, kind).

    Who is resampled depends also on the base voices there are.
    """

    id: str  # "p00042" paired, "v00042" voice only, "f00042" face only
    kind: Kind  # voice_only: F0 and vocal tract independent, unless resampled; age means nothing
    seed: int  # for everything drawn further down (utterances, photos, hair, ...)
    male: bool  # voice_only: who was recorded
    age_class: AgeClass
    years: float
    f0_hz: float  # median
    f0_sd_st: float  # standard deviation of F0 in running speech, semitones
    vtl_cm: float  # acoustic vocal-tract length
    jitter: float  # relative F0 perturbation per 5 ms frame
    shimmer_db: float  # level perturbation per frame
    breathiness: float  # 0..0.9, share of aperiodicity added towards high frequencies
    tilt_db: float  # spectral tilt per octave above 1 kHz
    tempo: float  # 1 is usual (voices/pace.py)
    tremor: float  # relative depth of a 4-7 Hz F0 modulation
    vtl_z: float  # vtl_cm standardised within sex and age class
    size: float  # the face's size axis, mean 0, SD 1
    face_years: float  # the age the face looks
    recorded: bool  # the voice starts from a recording of a person
    recorded_male: bool  # under an adult's voice; mostly as `male`, for voice_only always
    resampled: str  # voice_only: id of the base voice that just plays at another speed, or ""; what
    # the law draws of melody, roughness, breath, tilt, tempo and tremor means nothing then

    def as_json(self) -> dict[str, Any]:
        """Return the plain dict written to `people.jsonl`."""
        return asdict(self)


def draw_person(kind: Kind, index: int, population_seed: int) -> Person:
    """Draw one person, independent of how many others are drawn and in which order."""
    key = {"paired": 1, "voice_only": 2, "face_only": 3}[kind]
    rng = np.random.default_rng([population_seed, key, index])
    age_class = AGE_CLASSES[int(rng.choice(3, p=MIX))]
    male = bool(rng.random() < 0.5)
    years = float(rng.uniform(*YEARS[age_class]))
    vtl_z = float(np.clip(rng.normal(), -3.0, 3.0))
    mean_vtl, sd_vtl = vocal_tract(male, age_class, years)
    voice = _voice_quality(rng, male, age_class, years)
    f0 = median_f0(male, age_class, years) * 2 ** (rng.normal() * F0_SD_ST[age_class][male] / 12)
    vtl = mean_vtl + sd_vtl * vtl_z
    if kind == "voice_only":
        f0 = _log_uniform(rng, *VOICE_ONLY_F0_HZ)
        vtl = _log_uniform(rng, *VOICE_ONLY_TRACT_CM)
    size = SIZE_FROM_TRACT * vtl_z + math.sqrt(1 - SIZE_FROM_TRACT**2) * rng.normal()
    other = np.random.default_rng([population_seed, key, index, 2]).random()
    swapped = kind != "voice_only" and bool(other * (1.0 + RECORDING_ODDS) < 1.0)
    face_years = years + rng.normal() * (0.4 + 0.06 * years)
    return Person(
        id=f"{kind[0]}{index:05d}",
        kind=kind,
        seed=int(rng.integers(2**31)),
        male=male,
        age_class=age_class,
        years=years,
        f0_hz=float(np.clip(f0, 72.0, 380.0)),
        vtl_cm=float(np.clip(vtl, 9.5, 20.5)),
        vtl_z=vtl_z,
        size=float(size),
        face_years=float(np.clip(face_years, 2.0, 97.0)),
        recorded=bool(
            np.random.default_rng([population_seed, key, index, 1]).random() < RECORDED_SHARE
        ),
        recorded_male=male != swapped,
        resampled="",
        **voice,
    )


def _log_uniform(rng: np.random.Generator, lowest: float, highest: float) -> float:
    return math.exp(rng.uniform(math.log(lowest), math.log(highest)))


def vocal_tract(male: bool, age_class: AgeClass, years: float) -> tuple[float, float]:
    """Return mean and standard deviation of the acoustic vocal-tract length, cm."""
    if age_class == "child":
        return 10.8 + (years - 4.0) * 0.34 + (0.15 if male else -0.15), 0.45
    # formants lie slightly lower in old age (Linville & Rother)
    old = {True: 1.01, False: 1.02}[male] if age_class == "elderly" else 1.0
    return (17.2 * old, 0.9 * old) if male else (14.8 * old, 0.75 * old)


F0_SD_ST: dict[AgeClass, dict[bool, float]] = {  # between speakers, semitones
    "child": {False: 1.8, True: 1.8},
    "adult": {False: 2.3, True: 2.6},
    "elderly": {False: 2.8, True: 3.0},
}


def median_f0(male: bool, age_class: AgeClass, years: float) -> float:
    """Return the typical median F0 in Hz; continuous in years from 18 to 90."""
    if age_class == "child":
        return 300.0 - (years - 4.0) * 7.0
    if male:
        points, values = (18.0, 45.0, 55.0, 70.0, 90.0), (121.0, 115.0, 118.0, 132.0, 144.0)
    else:
        points, values = (18.0, 45.0, 55.0, 70.0, 90.0), (212.0, 206.0, 198.0, 187.0, 180.0)
    return float(np.interp(years, points, values))


@dataclass(frozen=True, slots=True)
class QualityLaw:
    """What age and sex do to the source: roughness, breath, tempo, tremor."""

    breath: tuple[float, float, float]  # a, b of a beta distribution, and its scale
    jitter: tuple[float, float]  # median, SD of the logarithm
    shimmer_db: tuple[float, float]  # median, SD of the logarithm
    tempo: tuple[float, float]  # mean, SD
    f0_sd_st: tuple[float, float]  # mean, SD
    tremor: float  # probability of any


def quality_law(male: bool, age_class: AgeClass, years: float) -> QualityLaw:
    """Return the distributions of one sex and age.

    They change continuously from 25 to 85 years, so that adults and the elderly overlap; the
    spread at each age is wide because healthy ageing is (Linville & Korabic 1987).
    """
    if age_class == "child":
        return QualityLaw((2.0, 6.0, 0.8), (0.006, 0.4), (0.35, 0.4), (0.93, 0.09), (2.9, 0.7), 0.0)
    a = float(np.clip((years - 25.0) / 60.0, 0.0, 1.0))
    late = a**1.5
    return QualityLaw(
        breath=(1.6 + 0.4 * a, (7.0 if male else 5.0) - a, 0.8 + 0.1 * a),
        jitter=(0.0057 + 0.0019 * late, 0.5),
        shimmer_db=(0.34 + 0.05 * late, 0.45),
        tempo=(1.03 - 0.20 * late, 0.12),
        f0_sd_st=(2.6 + 0.2 * a, 0.8),
        tremor=0.2 * max(0.0, a - 0.4),
    )


def _voice_quality(
    rng: np.random.Generator, male: bool, age_class: AgeClass, years: float
) -> dict[str, float]:
    """Draw the acoustic fields of a person that `quality_law` governs."""
    law = quality_law(male, age_class, years)

    def lognormal(median: float, sd: float) -> float:
        return float(rng.lognormal(math.log(median), sd))

    a, b, scale = law.breath
    breath = float(rng.beta(a, b)) * scale
    jitter, shimmer = lognormal(*law.jitter), lognormal(*law.shimmer_db)
    tempo, f0_sd, tremor = rng.normal(*law.tempo), rng.normal(*law.f0_sd_st), 0.0
    if age_class != "child" and rng.random() < law.tremor:
        tremor = rng.uniform(0.004, 0.03)
    return {
        "f0_sd_st": float(np.clip(f0_sd, 0.9, 5.0)),
        "jitter": float(np.clip(jitter, 0.001, 0.045)),
        "shimmer_db": float(np.clip(shimmer, 0.08, 2.5)),
        "breathiness": float(np.clip(breath, 0.0, 0.9)),
        "tilt_db": float(rng.normal(0.0, 2.0)) - 3.0 * breath,  # breathy voices fall off faster
        "tempo": float(np.clip(tempo, 0.65, 1.3)),
        "tremor": float(tremor),
    }
