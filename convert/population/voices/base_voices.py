"""The base voices: which voices there are to start from, and which of them this machine has.

Of the text-to-speech voices 17 are cut from recordings of people (diphone, unit selection or HTS)
and 74 are variants of espeak-ng's formant synthesiser; novelty variants (robots, whispers, croaks)
are left out. 30 more people recorded the words that programs for children say (recordings.py).
All of them are packages of Debian main.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .recordings import are_installed

Engine = Literal["espeak", "flite", "festival", "recorded"]

PROGRAMS: dict[Engine, str] = {  # recordings need none
    "espeak": "espeak-ng",
    "flite": "flite",
    "festival": "text2wave",
}
LISTING_TIMEOUT_S = 30.0
ESPEAK_VARIANTS = """
adam Alex Alicia Andrea Andy anika Annie antonio aunty belinda benjamin boris caleb david Denis
Diogo ed edward edward2 f1 f2 f3 f4 f5 Gene Gene2 grandma grandpa gustave Henrique Hugo Jacky john
klatt klatt2 klatt3 klatt4 klatt5 klatt6 Lee linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo Marco Mario max
Michael michel miguel Mike Nguyen norbert pablo paul pedro quincy rob robert sandro shelby steph
steph2 steph3 Storm travis victor zac
"""


@dataclass(frozen=True, slots=True)
class BaseVoice:
    """One voice of one text-to-speech engine, or one person's recordings."""

    id: str  # also the prefix of its files: "flite_slt" -> flite_slt__003.wav
    engine: Engine
    voice: str  # the engine's own name for it; recorded: a glob of files (recordings.py)
    speaker: str  # the person recorded; two voices of one person never straddle a split
    language: str | None  # ISO 639-1; None: any (espeak variants), or nothing to choose (recorded)
    encoding: str  # of the text the engine reads
    natural: bool  # cut from recordings of a person
    male: bool | None  # who was recorded; None: a child, nobody, or it cannot be told
    package: str  # Debian package that brings it


@dataclass(frozen=True, slots=True)
class Installed:
    """What `available_voices` found."""

    voices: tuple[BaseVoice, ...]
    missing: tuple[str, ...]  # one line each: the voice and the package that brings it


def _festival(
    name: str,
    language: str,
    package: str,
    male: bool | None,
    *,
    speaker: str = "",
    encoding: str = "utf-8",
) -> BaseVoice:
    return BaseVoice(
        id=f"festival_{name}",
        engine="festival",
        voice=f"voice_{name}",
        speaker=speaker or name,
        language=language,
        encoding=encoding,
        natural=True,
        male=male,
        package=package,
    )


def _flite(name: str, speaker: str, male: bool) -> BaseVoice:
    return BaseVoice(f"flite_{name}", "flite", name, speaker, "en", "utf-8", True, male, "flite")


def _espeak(variant: str) -> BaseVoice:
    name = f"espeak_{variant}"
    return BaseVoice(name, "espeak", variant, name, None, "utf-8", False, None, "espeak-ng")


def _recorded(package: str, folder: str, voices: str) -> tuple[BaseVoice, ...]:
    """Return the voices of one package, each "name m|f|? glob": who was recorded, and where."""
    male = {"m": True, "f": False, "?": None}
    rows = [row.split() for row in voices.strip().splitlines()]
    return tuple(
        BaseVoice(
            id=(name := f"recorded_{package.partition('-')[0]}_{language}"),
            engine="recorded",
            voice=f"{folder}/{glob}",
            speaker=name,
            language=None,
            encoding="utf-8",
            natural=True,
            male=male[sex],
            package=package,
        )
        for language, sex, glob in rows
    )


# One person each: a speaker model trained on real people (x-vector, docs/parity.md) finds parts of
# one voice alike and no two voices. Their sex is nowhere written down: it is what F0 and a
# published classifier of real voices agree on, else "?". Voices sampled at less than 20 kHz are
# left out. Measured once, no command repeats it.
_TUXPAINT = """
be    f **/*_desc_be.ogg
bg    m **/*_desc_bg.ogg
ca    m **/*_desc_ca.ogg
da    m **/*_desc_da.ogg
el    f **/*_desc_el.ogg
en_GB m **/*_en_GB.ogg
es    f **/*_desc_es.ogg
fr    m **/*_desc_fr.ogg
nl    m **/*_desc_nl.ogg
ro    f **/*_desc_ro.ogg
ru    m **/*_desc_ru.ogg
"""
_KTUBERLING = """
de m de/*.ogg
el ? el/*.ogg
en m en/*.ogg
lt m lt/*.ogg
sl ? sl/*.ogg
uk f uk/*.ogg
wa m wa/*.ogg
"""
_KLETTRES = """
cs    f cs/*/*.ogg
en_GB f en_GB/*/*.ogg
es    f es/*/*.ogg
fr    m fr/*/*.ogg
hu    m hu/*/*.ogg
it    f it/*/*.ogg
lt    m lt/*/*.ogg
nl    f nl/*/*.ogg
ru    f ru/*/*.ogg
uk    f uk/*/*.ogg
"""
_FILLETS = """
small f */cs/*-m-*.ogg
big   m */cs/*-v-*.ogg
"""
_LATIN1 = "iso-8859-1"
_LATIN2 = "iso-8859-2"
BASE_VOICES: tuple[BaseVoice, ...] = (
    *(_flite(name, speaker, True) for name, speaker in (("awb", "awb"), ("kal16", "kal"))),
    *(_flite(name, name, male) for name, male in (("rms", True), ("slt", False))),
    _festival("kal_diphone", "en", "festvox-kallpc16k", True, speaker="kal"),
    _festival("ked_diphone", "en", "festvox-kdlpc16k", True),
    _festival("cmu_us_slt_arctic_hts", "en", "festvox-us-slt-hts", False, speaker="slt"),
    _festival("lp_diphone", "it", "festvox-italp16k", False, encoding=_LATIN1),
    _festival("pc_diphone", "it", "festvox-itapc16k", True, encoding=_LATIN1),
    _festival("czech_dita", "cs", "festvox-czech-dita", False, encoding=_LATIN2),
    _festival("czech_machac", "cs", "festvox-czech-machac", True, encoding=_LATIN2),
    _festival("czech_krb", "cs", "festvox-czech-krb", None, encoding=_LATIN2),
    _festival("czech_ph", "cs", "festvox-czech-ph", True, encoding=_LATIN2),
    _festival("hy_fi_mv_diphone", "fi", "festvox-suopuhe-mv", True, encoding=_LATIN1),
    _festival("suo_fi_lj_diphone", "fi", "festvox-suopuhe-lj", False, encoding=_LATIN1),
    _festival("msu_ru_nsh_clunits", "ru", "festvox-ru", True),
    _festival("upc_ca_ona_hts", "ca", "festvox-ca-ona-hts", False, encoding="iso-8859-15"),
    *(_espeak(variant) for variant in ESPEAK_VARIANTS.split()),
)
RECORDED_VOICES: tuple[BaseVoice, ...] = (
    *_recorded("tuxpaint-stamps-default", "tuxpaint/stamps", _TUXPAINT),
    *_recorded("ktuberling-data", "ktuberling/sounds", _KTUBERLING),
    *_recorded("klettres-data", "klettres", _KLETTRES),
    *_recorded("fillets-ng-data-cs", "games/fillets-ng/sound", _FILLETS),
)


def available_voices(among: Sequence[BaseVoice] | None = None) -> Installed:
    """Return the base voices that this machine can speak, and name those it lacks.

    Args:
        among: whom to look for; None: `BASE_VOICES`.
    """
    wanted = BASE_VOICES if among is None else among
    voices = tuple(v for v in wanted if _is_installed(v))
    missing = tuple(
        f"{v.id} is missing: apt install {v.package}" for v in wanted if v not in voices
    )
    return Installed(voices, missing)


def _is_installed(voice: BaseVoice) -> bool:
    if voice.engine == "recorded":
        return are_installed(voice.voice)
    return voice.voice in _installed_names(voice.engine)


@cache
def _installed_names(engine: Engine) -> frozenset[str]:
    if shutil.which(PROGRAMS[engine]) is None:
        return frozenset()
    if engine == "espeak":  # the column "File" of the table reads !v/Alex
        words = _output("espeak-ng", "--voices=variant").split()
        return frozenset(word[3:] for word in words if word.startswith("!v/"))
    if engine == "flite":  # "Voices available: kal awb_time ..."
        return frozenset(_output("flite", "-lv").partition(":")[2].split())
    names = _output("festival", "-b", "(print (voice.list))").strip().strip("()").split()
    return frozenset(f"voice_{name}" for name in names)


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, check=True, capture_output=True, timeout=LISTING_TIMEOUT_S, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""  # an engine that cannot list its voices counts as absent
