"""The people recorded for Debian's programs: real voices to measure a bundle on.

Each program's sounds in one language were spoken by one person, a word or a name per file; four
women read telephone prompts at 8 kHz. Several words, a short gap between them, make a recording as
long as an utterance.

A speaker model trained on real people (x-vector, docs/parity.md) finds no two of these voices more
alike than .65. Their sex is nowhere written down: it is what F0 and a published classifier of real
voices, inaSpeechSegmenter, agree on, else "?". Measured once, no command repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.population.voices.speech import SAMPLE_RATE, Float64, read_speech

SHARE = Path("/usr/share")  # where the packages keep their sounds
RECORDINGS = 6  # of each person
SPOKEN_S = 5.5  # of words in a recording
FEWEST_S = 2.5  # where there are no more
SHORTEST_WORD_S = 0.15
GAP_S = (0.06, 0.20)  # between two words
FADE_S = 0.01  # at both ends of a word: none starts with a click
LOUDNESS = 0.1  # root mean square of each word

# package | folder under /usr/share | language, sex, files
TABLE = """
tuxpaint-stamps-default | tuxpaint/stamps | be f **/*_desc_be.ogg
tuxpaint-stamps-default | tuxpaint/stamps | bg m **/*_desc_bg.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ca m **/*_desc_ca.ogg
tuxpaint-stamps-default | tuxpaint/stamps | da m **/*_desc_da.ogg
tuxpaint-stamps-default | tuxpaint/stamps | el f **/*_desc_el.ogg
tuxpaint-stamps-default | tuxpaint/stamps | en_GB m **/*_en_GB.ogg
tuxpaint-stamps-default | tuxpaint/stamps | es f **/*_desc_es.ogg
tuxpaint-stamps-default | tuxpaint/stamps | fr m **/*_desc_fr.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nl m **/*_desc_nl.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ro f **/*_desc_ro.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ru m **/*_desc_ru.ogg
tuxpaint-stamps-default | tuxpaint/stamps | de_names m **/*[!c]_de.ogg
tuxpaint-stamps-default | tuxpaint/stamps | el_names m **/*[!c]_el.ogg
tuxpaint-stamps-default | tuxpaint/stamps | es_names f **/*[!c]_es.ogg
tuxpaint-stamps-default | tuxpaint/stamps | fr_names m **/*[!c]_fr.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ja_names f **/*[!c]_ja.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ko_names ? **/*[!c]_ko.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nb_names m **/*[!c]_nb.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nl_names f **/*[!c]_nl.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nn_names ? **/*[!c]_nn.ogg
tuxpaint-stamps-default | tuxpaint/stamps | pt_names m **/*[!c]_pt.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ru_names f **/*[!c]_ru.ogg
tuxpaint-stamps-default | tuxpaint/stamps | sv_names f **/*[!c]_sv.ogg
tuxpaint-stamps-default | tuxpaint/stamps | tw_names ? **/*[!c]_zh_tw.ogg
ktuberling-data | ktuberling/sounds | de m de/*.ogg
ktuberling-data | ktuberling/sounds | el ? el/*.ogg
ktuberling-data | ktuberling/sounds | en m en/*.ogg
ktuberling-data | ktuberling/sounds | gl f gl/*.ogg
ktuberling-data | ktuberling/sounds | lt m lt/*.ogg
ktuberling-data | ktuberling/sounds | sl ? sl/*.ogg
ktuberling-data | ktuberling/sounds | uk f uk/*.ogg
ktuberling-data | ktuberling/sounds | wa m wa/*.ogg
ktuberling-data | ktuberling/sounds | ca ? ca/*.ogg
ktuberling-data | ktuberling/sounds | da ? da/*.ogg
ktuberling-data | ktuberling/sounds | es m es/*.ogg
ktuberling-data | ktuberling/sounds | fr ? fr/*.ogg
ktuberling-data | ktuberling/sounds | ga m ga/*.ogg
ktuberling-data | ktuberling/sounds | it f it/*.ogg
ktuberling-data | ktuberling/sounds | nds m nds/*.ogg
ktuberling-data | ktuberling/sounds | ro f ro/*.ogg
ktuberling-data | ktuberling/sounds | sr f sr/*.ogg
ktuberling-data | ktuberling/sounds | sv f sv/*.ogg
klettres-data | klettres | cs f cs/*/*.ogg
klettres-data | klettres | en_GB f en_GB/*/*.ogg
klettres-data | klettres | es f es/*/*.ogg
klettres-data | klettres | fr m fr/*/*.ogg
klettres-data | klettres | hu m hu/*/*.ogg
klettres-data | klettres | it f it/*/*.ogg
klettres-data | klettres | lt m lt/*/*.ogg
klettres-data | klettres | nl f nl/*/*.ogg
klettres-data | klettres | ru f ru/*/*.ogg
klettres-data | klettres | uk f uk/*/*.ogg
klettres-data | klettres | ar ? ar/*/*.ogg
klettres-data | klettres | da m da/*/*.ogg
klettres-data | klettres | en m en/*/*.ogg
klettres-data | klettres | ml m ml/*/*.ogg
klettres-data | klettres | nds m nds/*/*.ogg
fillets-ng-data-cs | games/fillets-ng/sound | small f */cs/*-m-*.ogg
fillets-ng-data-cs | games/fillets-ng/sound | big m */cs/*-v-*.ogg
fillets-ng-data-nl | games/fillets-ng/sound | nl_big m */nl/*-v-*.ogg
fillets-ng-data-nl | games/fillets-ng/sound | nl_small ? */nl/*-m-*.ogg
asterisk-core-sounds-en-wav | asterisk/sounds/en_US_f_Allison | en f *.wav
asterisk-core-sounds-fr-wav | asterisk/sounds/fr_CA_f_June | fr f *.wav
asterisk-core-sounds-ru-wav | asterisk/sounds/ru_RU_f_IvrvoiceRU | ru f *.wav
asterisk-prompt-it-menardi-wav | asterisk/sounds/it_IT_f_Menardi | it f *.wav
"""


@dataclass(frozen=True, slots=True)
class RecordedPerson:
    """Whose words one program plays in one language."""

    name: str
    female: bool | None  # None: it cannot be told
    package: str  # Debian package with the sounds
    pattern: str  # glob of its files under `SHARE`


def recorded_people() -> list[RecordedPerson]:
    """Return everybody in `TABLE`."""
    found = []
    for row in TABLE.strip().splitlines():
        package, folder, person = (cell.strip() for cell in row.split("|"))
        language, sex, files = person.split()
        name = f"{package.partition('-')[0]}_{language}"
        female = {"f": True, "m": False, "?": None}[sex]
        found.append(RecordedPerson(name, female, package, f"{folder}/{files}"))
    return found


def write_speech(person: RecordedPerson, folder: Path) -> int:
    """Write `RECORDINGS` WAV files of one person; returns how many, 0 without the package."""
    import soundfile

    files = sorted(SHARE.glob(person.pattern))
    written = 0
    for number in range(RECORDINGS if files else 0):
        rng = np.random.default_rng([number, *person.name.encode()])
        shuffled = (read_speech(files[i]) for i in rng.permutation(len(files)))
        samples = joined(shuffled, rng)
        if samples is not None:
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{number}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
            written += 1
    return written


def joined(words: Iterable[Float64], rng: np.random.Generator) -> Float64 | None:
    """Return words at 16 kHz as `SPOKEN_S` of speech, equally loud, with gaps; None: too few."""
    fade = np.linspace(0.0, 1.0, int(FADE_S * SAMPLE_RATE))
    parts: list[Float64] = []
    spoken = 0
    for word in words:
        if len(word) < SHORTEST_WORD_S * SAMPLE_RATE:
            continue
        level = np.clip(word * LOUDNESS / (np.sqrt(np.mean(word**2)) + 1e-9), -1.0, 1.0)
        level[: len(fade)] *= fade
        level[-len(fade) :] *= fade[::-1]
        parts += [level, np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE))]
        spoken += len(word)
        if spoken >= SPOKEN_S * SAMPLE_RATE:
            break
    return np.concatenate(parts) if spoken >= FEWEST_S * SAMPLE_RATE else None
