"""
Speech to put into rooms: running speech to cut windows from, and whole utterances to play.

    bank, description = find_speech('auto')
    bank.draw(64, 24000, torch.Generator().manual_seed(1), 'cpu')  # (64, 24000)

Voices are split between training, validation and test by talker (see `TALKERS`).
"""

from functools import lru_cache
import hashlib
from pathlib import Path

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.resampling import resample
from nsrp_ros.simulation.speech.debian_prompts import load_folder
from nsrp_ros.simulation.speech.debian_prompts import load_prompts
from nsrp_ros.simulation.speech.debian_prompts import PROMPT_RATE
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
from nsrp_ros.simulation.speech.synthetic import synthetic_talker
import numpy as np
import torch

TALKERS = {'train': ('en', 'es', 'it'), 'val': ('fr',), 'test': ('ru',)}
"""Prompt languages, one talker each, by the split that may hear them."""

FRAME = 0.01
"""Seconds over which the energy of speech is measured, and the step between window ends."""
ACTIVE_RANGE_DB = 35.0
"""A frame is speech where its energy is within this range of its talker's loud frames."""
MIN_ACTIVE = 0.5
"""Share of an analysis window's frames that must be speech."""
_GAP = 0.15  # seconds of silence between two utterances of running speech
_EDGE = 0.05  # seconds kept before and after the speech of an utterance


class SpeechBank:
    """
    Speech of one or more talkers, joined to running speech.

    Parameters
    ----------
    talkers : list of list of numpy.ndarray
        One list of utterances (T,), int16, for each talker. Silence around the utterances is
        trimmed, and those without any speech are dropped.
    sample_rate : int
        Hertz.

    Raises
    ------
    SpeechError
        If nothing is left to draw from.

    """

    def __init__(self, talkers, sample_rate=16000):
        self.sample_rate = sample_rate
        self._frame = round(FRAME * sample_rate)
        gap = np.zeros(round(_GAP * sample_rate), np.int16)
        pieces, self._bounds, first_sample, at = [], [], [], 0
        for utterances in talkers:
            talker_start = at
            for utterance in self._trimmed(utterances):
                self._bounds.append((at, at + len(utterance)))
                pieces += [utterance, gap]
                at += len(utterance) + len(gap)
            padding = -at % self._frame  # each talker starts on a frame of its own
            pieces.append(np.zeros(padding, np.int16))
            at += padding
            first_sample.append(np.full((at - talker_start) // self._frame, talker_start))
        if at == 0:
            raise SpeechError('there is no speech in these files, only silence')
        self._samples = torch.from_numpy(np.concatenate(pieces))
        # Of the talker that each frame belongs to, the first sample: where his history begins.
        self._talker_start = torch.from_numpy(np.concatenate(first_sample))
        starts = np.unique(self._talker_start.numpy())
        active = np.concatenate([
            self._active(part) for part in np.split(self._samples.numpy(), starts[1:])])
        n_window = round(WindowConfig().length / FRAME)
        counts = np.cumsum(np.concatenate([np.zeros(n_window), active]))
        share = (counts[n_window:] - counts[:-n_window]) / n_window
        self._usable = torch.from_numpy(share >= MIN_ACTIVE)  # by the window's last frame
        self._ready = {}

    @classmethod
    def load(cls, languages=TALKERS['train'], folder=None, cache=None, sample_rate=16000,
             speeds=(1.0,)):
        """
        Load prompts, or a folder of audio files.

        Parameters
        ----------
        languages : sequence of str
            Prompt languages, one talker each; see debian_prompts.py.
        folder : path, optional
            A folder of audio files to use instead, taken as one talker.
        cache : path, optional
            Where prompts are kept; see `prompts.cache_folder`.
        sample_rate : int
            Hertz.
        speeds : sequence of float
            Every talker speaks at each of these rates: 0.9 and 1.1 give voices of other pitch.

        Raises
        ------
        SpeechError
            If the speech cannot be found, fetched or decoded.

        """
        if folder is not None:
            talkers = [load_folder(folder, sample_rate)]
        else:
            talkers = [load_prompts(language, cache) for language in languages]
        stored_rate = sample_rate if folder is not None else PROMPT_RATE
        return cls([_at_rate(talker, stored_rate * speed, sample_rate)
                    for talker in talkers for speed in speeds], sample_rate)

    @classmethod
    def synthetic(cls, generator, n_talkers=4, seconds=30.0, sample_rate=16000):
        """Let `n_talkers` synthetic talkers speak for some seconds each; see there."""
        return cls([[np.int16(32767 * synthetic_talker(seconds, generator, sample_rate))]
                    for _ in range(n_talkers)], sample_rate)

    @property
    def seconds(self):
        """Return how much running speech there is."""
        return len(self._samples) / self.sample_rate

    def checksum(self):
        """Return the sha256 of all samples, in hexadecimal."""
        return hashlib.sha256(self._samples.numpy().tobytes()).hexdigest()

    def utterances(self, min_seconds=0.0):
        """Return whole utterances, float32 arrays (T,), of `min_seconds` or more."""
        samples = self._samples.numpy()
        return [samples[a:b].astype(np.float32) / 32768 for a, b in self._bounds
                if b - a >= min_seconds * self.sample_rate]

    def draw(self, n, n_samples, generator, device='cpu'):
        """
        Cut stretches of running speech that end in a window of speech.

        Parameters
        ----------
        n : int
            How many.
        n_samples : int
            Length of each, one analysis window (0.5 s) or more; what goes before the last
            window is what the room still rings with.
        generator : torch.Generator
            On any device.
        device : str or torch.device
            Where the speech is wanted; the bank is copied there once.

        Returns
        -------
        torch.Tensor
            Shape (n, n_samples), float32. At least half of the last 0.5 s is speech, by energy.

        Raises
        ------
        SpeechError
            If no talker has spoken for as long.

        """
        key = (str(device), n_samples)
        if key not in self._ready:
            ends = self._frame * (1 + torch.arange(len(self._usable)))
            ends = ends[self._usable & (ends - self._talker_start >= n_samples)]
            if len(ends) == 0:
                raise SpeechError(f'no talker has {n_samples / self.sample_rate:.2f} s of '
                                  'running speech that end in speech')
            on_device = [samples for (where, _), (samples, _) in self._ready.items()
                         if where == str(device)]
            samples = on_device[0] if on_device else self._samples.to(device)
            self._ready[key] = samples, ends.to(device)
        samples, ends = self._ready[key]
        pick = torch.randint(len(ends), (n,), generator=generator, device=generator.device)
        stretch = torch.arange(-n_samples, 0, device=device)
        return samples[ends[pick.to(device)][:, None] + stretch].float() / 32768

    def _loudness_db(self, samples):
        """Measure each frame's mean square in decibels: (T,) to (T // frame,)."""
        whole = samples[:len(samples) // self._frame * self._frame].astype(np.float32)
        return 10 * np.log10((whole.reshape(-1, self._frame) ** 2).mean(axis=1) + 1e-3)

    def _active(self, samples):
        """Tell which frames of one talker are speech."""
        loudness = self._loudness_db(samples)
        sounding = loudness[loudness > 0]  # above one quantum: digital silence says nothing
        if len(sounding) == 0:
            return np.zeros(len(loudness), bool)
        return loudness > max(np.percentile(sounding, 95) - ACTIVE_RANGE_DB, 10)

    def _trimmed(self, utterances):
        """Yield utterances without the silence around them, and without the silent ones."""
        if not utterances:
            return
        edge = round(_EDGE * self.sample_rate)
        whole = [u[:len(u) // self._frame * self._frame] for u in utterances]
        active = self._active(np.concatenate(whole))
        for utterance, mask in zip(
                whole, np.split(active, np.cumsum([len(u) // self._frame for u in whole])[:-1]),
                strict=True):
            speech = np.flatnonzero(mask) * self._frame
            if len(speech):
                yield utterance[max(speech[0] - edge, 0):speech[-1] + self._frame + edge]


def _at_rate(utterances, rate, target_rate):
    """Resample int16 utterances."""
    if rate == target_rate:
        return utterances
    return [np.clip(np.rint(resample(u[None].astype(np.float32), rate, target_rate)[0]),
                    -32768, 32767).astype(np.int16) for u in utterances]


@lru_cache(maxsize=2)
def _synthetic(sample_rate):
    return SpeechBank.synthetic(np.random.default_rng(0), sample_rate=sample_rate)


def find_speech(source='auto', languages=TALKERS['train'], cache=None, sample_rate=16000):
    """
    Find speech, and say what was found.

    Parameters
    ----------
    source : str or path
        'prompts' (Debian's voice prompts), 'synthetic', a folder of audio files, or 'auto':
        the prompts, and the synthetic talker where they cannot be had.
    languages : sequence of str
        Of the prompts.
    cache : path, optional
        Where prompts are kept.
    sample_rate : int
        Hertz.

    Returns
    -------
    tuple of SpeechBank and str
        The speech, and a sentence about where it comes from.

    Raises
    ------
    SpeechError
        If a source other than 'auto' has no speech.

    """
    if source == 'synthetic':
        return _synthetic(sample_rate), 'synthetic talkers'
    if source in ('auto', 'prompts'):
        try:
            bank = SpeechBank.load(languages, cache=cache, sample_rate=sample_rate)
            return bank, f'voice prompts ({", ".join(languages)})'
        except SpeechError as error:
            if source == 'prompts':
                raise
            return (_synthetic(sample_rate),
                    f'synthetic talkers, because there are no voice prompts: {error}')
    if not Path(source).is_dir():
        raise SpeechError(f"{source!r} is neither a folder, nor 'auto', 'prompts' or 'synthetic'")
    bank = SpeechBank.load(folder=source, sample_rate=sample_rate)
    return bank, f'audio files below {source}'
