"""The front-ends a bundle may name, and what each gives the voice encoder."""

from __future__ import annotations

from ..types import Float32, Int8
from . import compressed_stft, instance_mel, kaldi_fbank, logmel
from .compressed_stft import CompressedStftSpec
from .instance_mel import InstanceMelSpec
from .kaldi_fbank import KaldiFbankSpec
from .logmel import LogMelSpec

FrontendSpec = LogMelSpec | InstanceMelSpec | KaldiFbankSpec | CompressedStftSpec


def encoder_input(samples: Float32, spec: FrontendSpec) -> Int8 | Float32:
    """Return what the voice encoder hears of an utterance, (n,) float32 samples at 16 kHz.

    Returns:
        The windows (w, frames, mels) int8 codes of our own front-end, or the one clip
        (1, frames, bands, channels) float32 of a published network's.

    Raises:
        InputError: the sound is too short or holds samples that are not finite.
    """
    match spec:
        case LogMelSpec():
            return logmel.features(samples, spec)
        case InstanceMelSpec():
            return instance_mel.features(samples, spec)
        case KaldiFbankSpec():
            return kaldi_fbank.features(samples, spec)
        case CompressedStftSpec():
            return compressed_stft.features(samples, spec)


def input_shape(spec: FrontendSpec) -> tuple[int, int, int]:
    """Return frames, bands and channels of the voice encoder's input."""
    if isinstance(spec, LogMelSpec):
        return spec.frames, spec.mels, 1
    return spec.shape
