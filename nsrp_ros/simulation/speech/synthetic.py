"""
A synthetic talker for machines without voices or network: glottal pulses through moving formants.

It does not sound human, but has the features that localization relies on: onsets, varying pitch,
gliding formants, fricatives, and pauses.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

# Formant frequencies in hertz of vowels (a, e, i, o, u, schwa), rounded from textbook averages.
_VOWELS = np.array([[750, 1200, 2500, 3500], [500, 1850, 2500, 3500], [300, 2250, 3000, 3700],
                    [480, 900, 2450, 3400], [320, 800, 2300, 3300], [500, 1500, 2500, 3500.]])
_BANDWIDTHS = np.array([70, 100, 140, 220.])
_BLOCK = 0.005  # seconds during which the formants are constant


def synthetic_talker(seconds: float, generator: np.random.Generator,
                     sample_rate: int = 16000) -> NDArray[np.float32]:
    """
    Synthesise speech-like sound of random syllables.

    Parameters
    ----------
    seconds : float
        Duration.
    generator : numpy.random.Generator
        Draws the voice and the syllables.
    sample_rate : int
        Hertz, 8000 or more.

    Returns
    -------
    numpy.ndarray
        Shape (seconds * sample_rate,), float32, peak 0.5.

    """
    n_samples = round(seconds * sample_rate)
    step = round(_BLOCK * sample_rate)
    n_blocks = n_samples // step + 1
    voice_pitch = generator.uniform(85, 230)
    tract = generator.uniform(0.9, 1.15)  # scales all formants: higher for a short vocal tract

    formants = np.empty((n_blocks, 4))
    pitch, voicing, frication = np.empty(n_blocks), np.zeros(n_blocks), np.zeros(n_blocks)
    at, vowel = 0, _VOWELS[5]
    while at < n_blocks:
        # A syllable: a fricative with probability 0.6, then a vowel glide; sometimes a pause.
        fricative = int(generator.integers(8, 22)) if generator.random() < 0.6 else 0
        length = int(generator.integers(20, 60))
        stretch = slice(at, min(at + fricative + length, n_blocks))
        n = stretch.stop - at
        target = _VOWELS[generator.integers(len(_VOWELS))]
        glide = np.clip((np.arange(n) - fricative) / max(length - 1, 1), 0, 1)[:, None]
        formants[stretch] = tract * (vowel + (target - vowel) * glide)
        first, last = generator.uniform(0.85, 1.2, 2)
        pitch[stretch] = voice_pitch * np.linspace(first, last, n)
        edge = np.clip(np.minimum(np.arange(n) - fricative + 1,
                                  length + fricative - np.arange(n)) / 5, 0, 1)
        voicing[stretch] = edge * generator.uniform(0.5, 1)
        swell = np.hanning(fricative + 2)[1:-1] * generator.uniform(0.01, 0.06)
        frication[at:at + fricative] = swell[:len(frication[at:at + fricative])]
        at, vowel = at + n, target
        if at < n_blocks and generator.random() < 0.15:
            pause = slice(at, min(at + int(generator.integers(20, 80)), n_blocks))
            formants[pause], pitch[pause] = tract * vowel, voice_pitch
            at = pause.stop

    voiced = _glottal_flow(np.repeat(pitch, step), sample_rate, generator)
    aspiration = generator.standard_normal(len(voiced))
    excitation = np.repeat(voicing, step) * (voiced + 0.02 * aspiration)
    speech = _through_formants(excitation, formants, step, sample_rate)
    speech /= max(np.abs(speech).max(), 1e-9)
    # Fricatives arise near the lips, after most of the vocal tract: noise rising with frequency.
    speech += np.repeat(frication, step) * np.diff(aspiration, prepend=0.0)
    speech = speech[:n_samples]
    return (0.5 * speech / np.abs(speech).max()).astype(np.float32)


def _glottal_flow(pitch: NDArray[np.float64], sample_rate: int,
                  generator: np.random.Generator) -> NDArray[np.float64]:
    """Differentiate Rosenberg pulses, one per period of `pitch` (T,), hertz, with 1 % jitter."""
    jitter = 1 + 0.01 * np.repeat(generator.standard_normal(len(pitch) // 80 + 1), 80)
    phase = np.cumsum(pitch * jitter[:len(pitch)] / sample_rate) % 1
    opening, closing = phase / 0.4, (phase - 0.4) / 0.16
    flow = np.where(phase < 0.4, 3 * opening ** 2 - 2 * opening ** 3,
                    np.where(phase < 0.56, 1 - closing ** 2, 0))
    return np.diff(flow, prepend=0.0)


def _through_formants(excitation: NDArray[np.float64], formants: NDArray[np.float64], step: int,
                      sample_rate: int) -> NDArray[np.float64]:
    """Filter (T,) by a cascade of resonators whose frequencies (blocks, 4) change each block."""
    speech = excitation.copy()
    radius = np.exp(-np.pi * _BANDWIDTHS / sample_rate)
    for k, r in enumerate(radius):
        cosines = np.cos(2 * np.pi * np.minimum(formants[:, k], 0.45 * sample_rate) / sample_rate)
        state = np.zeros(2)
        for block, cosine in enumerate(cosines):
            part = slice(block * step, (block + 1) * step)
            a = [1, -2 * r * cosine, r * r]
            speech[part], state = lfilter([sum(a)], a, speech[part], zi=state)
    return speech
