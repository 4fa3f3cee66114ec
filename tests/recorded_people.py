"""People recorded for Debian's programs whom no network heard: real voices to measure a bundle on.

Each program's sounds in one language were spoken by one person, a word or a name per file; five
women and a man read telephone prompts at 8 kHz. Several words, a short gap between them, make a
recording as long as an utterance.

A speaker model trained on real people (x-vector, docs/parity.md) finds nobody here more like one of
`RECORDED_VOICES`, who are trained with, than .66. The sex of kajongg's and asterisk's people is
what names of files, and of who spoke, say. Of the others it is nowhere written down: it is what F0
and a published classifier of real voices, inaSpeechSegmenter, agree on, else "?". Measured once, no
command repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.population.voices.recordings import SHARE, joined
from convert.population.voices.speech import SAMPLE_RATE, read_speech
from edge.errors import EarsightError

RECORDINGS = 6  # of each person
FEWEST_S = 2.5  # of words in a recording, where there are no more

# package | folder under /usr/share | language, sex, files
TABLE = """
tuxpaint-stamps-default | tuxpaint/stamps | de m **/*[!c]_de.ogg
tuxpaint-stamps-default | tuxpaint/stamps | el m **/*[!c]_el.ogg
tuxpaint-stamps-default | tuxpaint/stamps | es f **/*[!c]_es.ogg
tuxpaint-stamps-default | tuxpaint/stamps | fr m **/*[!c]_fr.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ja f **/*[!c]_ja.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ko ? **/*[!c]_ko.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nb m **/*[!c]_nb.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nl f **/*[!c]_nl.ogg
tuxpaint-stamps-default | tuxpaint/stamps | nn ? **/*[!c]_nn.ogg
tuxpaint-stamps-default | tuxpaint/stamps | pt m **/*[!c]_pt.ogg
tuxpaint-stamps-default | tuxpaint/stamps | ru f **/*[!c]_ru.ogg
tuxpaint-stamps-default | tuxpaint/stamps | sv f **/*[!c]_sv.ogg
tuxpaint-stamps-default | tuxpaint/stamps | tw ? **/*[!c]_zh_tw.ogg
ktuberling-data | ktuberling/sounds | ca ? ca/*.ogg
ktuberling-data | ktuberling/sounds | da ? da/*.ogg
ktuberling-data | ktuberling/sounds | es m es/*.ogg
ktuberling-data | ktuberling/sounds | fr ? fr/*.ogg
ktuberling-data | ktuberling/sounds | ga m ga/*.ogg
ktuberling-data | ktuberling/sounds | gl f gl/*.ogg
ktuberling-data | ktuberling/sounds | it f it/*.ogg
ktuberling-data | ktuberling/sounds | nds m nds/*.ogg
ktuberling-data | ktuberling/sounds | ro f ro/*.ogg
ktuberling-data | ktuberling/sounds | sr f sr/*.ogg
ktuberling-data | ktuberling/sounds | sv f sv/*.ogg
klettres-data | klettres | ar ? ar/*/*.ogg
klettres-data | klettres | da m da/*/*.ogg
klettres-data | klettres | en m en/*/*.ogg
klettres-data | klettres | ml m ml/*/*.ogg
klettres-data | klettres | nds m nds/*/*.ogg
fillets-ng-data-nl | games/fillets-ng/sound | nl_big m */nl/*-v-*.ogg
fillets-ng-data-nl | games/fillets-ng/sound | nl_small ? */nl/*-m-*.ogg
asterisk-core-sounds-en-wav | asterisk/sounds/en_US_f_Allison | en f *.wav
asterisk-core-sounds-fr-wav | asterisk/sounds/fr_CA_f_June | fr f *.wav
asterisk-core-sounds-ru-wav | asterisk/sounds/ru_RU_f_IvrvoiceRU | ru f *.wav
asterisk-prompt-it-menardi-wav | asterisk/sounds/it_IT_f_Menardi | it f *.wav
asterisk-core-sounds-it-wav | asterisk/sounds/it_IT_m_Carlo | it_Carlo m *.wav
asterisk-prompt-fr-armelle | asterisk/sounds/fr | fr_Armelle f *.gsm
kajongg | kajongg/voices/de | de_1 f female1/*.ogg
kajongg | kajongg/voices/de | de_2 f female2/*.ogg
kajongg | kajongg/voices/de | de_3 m male1/*.ogg
kajongg | kajongg/voices/de | de_4 m male2/*.ogg
kajongg | kajongg/voices | en_4 m male2/*.ogg
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
        try:
            samples = joined(shuffled, rng, FEWEST_S)
        except EarsightError:  # too few words
            continue
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
        written += 1
    return written
