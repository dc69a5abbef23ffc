"""
A talker for machines with neither voices nor network: glottal pulses through moving formants.

Nobody would mistake it for a human, but it has what a localizer listens to: onsets, pitch that
moves, formants that glide, hiss between them, and pauses.
"""

import numpy as np
from scipy.signal import lfilter

# Formant frequencies in hertz of vowels (a, e, i, o, u, schwa), rounded from textbook averages.
_VOWELS = np.array([[750, 1200, 2500, 3500], [500, 1850, 2500, 3500], [300, 2250, 3000, 3700],
                    [480, 900, 2450, 3400], [320, 800, 2300, 3300], [500, 1500, 2500, 3500.]])
_BANDWIDTHS = np.array([70, 100, 140, 220.])
_BLOCK = 0.005  # seconds during which the vocal tract stands still


def synthetic_talker(seconds, generator, sample_rate=16000):
    """
    Synthesise babbling speech.

    Parameters
    ----------
    seconds : float
        Duration.
    generator : numpy.random.Generator
        Decides the voice and what it says.
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
    tract = generator.uniform(0.9, 1.15)  # scales all formants: a short tract sounds high

    formants = np.empty((n_blocks, 4))
    pitch, voicing, hiss = np.empty(n_blocks), np.zeros(n_blocks), np.zeros(n_blocks)
    at, vowel = 0, _VOWELS[5]
    while at < n_blocks:
        # A syllable: perhaps a fricative, then a vowel glide; now and then a pause.
        fricative = generator.integers(8, 22) if generator.random() < 0.6 else 0
        length = int(generator.integers(20, 60))
        stretch = slice(at, min(at + fricative + length, n_blocks))
        n = stretch.stop - at
        target = _VOWELS[generator.integers(len(_VOWELS))]
        glide = np.clip((np.arange(n) - fricative) / max(length - 1, 1), 0, 1)[:, None]
        formants[stretch] = tract * (vowel + (target - vowel) * glide)
        pitch[stretch] = voice_pitch * np.linspace(*generator.uniform(0.85, 1.2, 2), n)
        edge = np.clip(np.minimum(np.arange(n) - fricative + 1,
                                  length + fricative - np.arange(n)) / 5, 0, 1)
        voicing[stretch] = edge * generator.uniform(0.5, 1)
        swell = np.hanning(fricative + 2)[1:-1] * generator.uniform(0.01, 0.06)
        hiss[at:at + fricative] = swell[:len(hiss[at:at + fricative])]
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
    # Fricatives arise at the lips, past most of the tract: noise that rises with frequency.
    speech += np.repeat(hiss, step) * np.diff(aspiration, prepend=0.0)
    speech = speech[:n_samples]
    return (0.5 * speech / np.abs(speech).max()).astype(np.float32)


def _glottal_flow(pitch, sample_rate, generator):
    """Derive the flow of Rosenberg pulses, one a period of `pitch` (T,), with 1 % of jitter."""
    jitter = 1 + 0.01 * np.repeat(generator.standard_normal(len(pitch) // 80 + 1), 80)
    phase = np.cumsum(pitch * jitter[:len(pitch)] / sample_rate) % 1
    opening, closing = phase / 0.4, (phase - 0.4) / 0.16
    flow = np.where(phase < 0.4, 3 * opening ** 2 - 2 * opening ** 3,
                    np.where(phase < 0.56, 1 - closing ** 2, 0))
    return np.diff(flow, prepend=0.0)


def _through_formants(excitation, formants, step, sample_rate):
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
