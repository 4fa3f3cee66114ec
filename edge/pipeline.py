"""READ THIS FIRST: the steps from a sound to a face, in order, and nothing else.

::

    pieces of sound  →  listen  →  Utterance  →  Ear.look  →  Sighting  →  a sink
    (file, microphone)                           features → encode → match → draw

A file and a microphone differ only in who makes the pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from .audio.frontend import encoder_input
from .audio.logmel import LogMel, LogMelSpec
from .audio.speech import listen
from .embed.encoder import VoiceEncoder
from .errors import BundleError
from .face.decoder import PortraitDecoder
from .face.gallery import Gallery
from .people.cohort import load_cohort
from .people.decision import DEFAULT_RATE, Judge
from .types import Float32, Match, Recording, Sighting, Timings, Utterance, Verdict

if TYPE_CHECKING:
    from .accelerator.failover import Accelerator
    from .bundle import Bundle


class Ear:
    """A bundle's models and a gallery, ready to hear. Belongs to one thread."""

    def __init__(
        self,
        bundle: Bundle,
        gallery: Gallery,
        top: int = 5,
        threads: int = 1,
        accelerator: Accelerator | None = None,
        false_match_rate: float = DEFAULT_RATE,
    ) -> None:
        """Open the models once.

        Args:
            bundle: where the models come from.
            gallery: people to rank, made in the bundle's embedding space.
            top: how many people a sighting ranks at most.
            threads: CPU threads each model may use.
            accelerator: computes as long as somebody keeps it started; None for the CPU alone.
            false_match_rate: share of unknown speakers' utterances that may be given a name, 0..1.

        Raises:
            BundleError: a model breaks the contract, or the gallery is of another space.
            RuntimeUnavailable: nothing installed here can run the models.
        """
        space = bundle.manifest.embedding
        if gallery.space_id != space.space_id or gallery.dim not in (0, space.dim):
            raise BundleError(
                f"the gallery was made in embedding space '{gallery.space_id}', the bundle's is "
                f"'{space.space_id}' of {space.dim} dimensions; enroll again with this bundle"
            )
        self.gallery = gallery
        self.accelerator = accelerator
        self._top = top
        decision = bundle.manifest.decision
        self._judge: Judge | None = None
        if decision is not None:
            cohort = load_cohort(bundle, decision.nearest)
            self._judge = Judge(decision, cohort, gallery, false_match_rate)
        self._spec = bundle.manifest.frontend.spec
        open_model = partial(accelerator.open, bundle) if accelerator else bundle.open
        self._voice = VoiceEncoder(open_model("voice_encoder", threads), bundle.manifest.traits)
        self._decoder: PortraitDecoder | None = None
        if bundle.has("portrait_decoder"):
            self._decoder = PortraitDecoder(open_model("portrait_decoder", threads))

    def hear(self, recording: Recording) -> Iterator[Sighting]:
        """Yield one sighting for each utterance of a whole recording; see `listen`."""
        return self.listen([recording])

    def listen(self, pieces: Iterable[Recording]) -> Iterator[Sighting]:
        """Yield a sighting as soon as each utterance of a stream of sound has ended.

        Raises:
            NoSpeechError: the stream ended and nobody had spoken.
            RuntimeUnavailable: the speech detector is not installed.
        """
        for utterance in listen(pieces):
            yield self.look(utterance)

    def look(self, utterance: Utterance) -> Sighting:
        """Return everything one utterance gives."""
        start = perf_counter()
        windows = encoder_input(utterance.samples, self._spec)
        framed = perf_counter()
        voice = self._voice.encode(windows)
        encoded = perf_counter()
        matches, verdict = self._ranked(voice.embedding)
        matched = perf_counter()
        portrait = self._decoder.draw(voice.embedding) if self._decoder else None
        drawn = perf_counter()
        timings = Timings(
            frontend=1e3 * (framed - start),
            encode=1e3 * (encoded - framed),
            match=1e3 * (matched - encoded),
            decode=1e3 * (drawn - matched),
        )
        return Sighting(utterance, voice, matches, portrait, timings, verdict)

    def _ranked(self, embedding: Float32) -> tuple[tuple[Match, ...], Verdict | None]:
        if self._judge is None:
            return self.gallery.match(embedding, self._top), None
        return self._judge.look(embedding, self._top)

    def spectrogram(self, utterance: Utterance) -> Float32:
        """Return the (frames, mels) mel energies of an utterance, for a picture of it."""
        frontend = LogMel(self._spec if isinstance(self._spec, LogMelSpec) else None)
        return np.concatenate([frontend.feed(utterance.samples), frontend.flush()])
