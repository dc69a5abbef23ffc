"""
Speech for simulated talkers: running speech to cut windows from, and whole utterances.

    bank, description = find_speech('auto')
    bank.draw(64, 24000, torch.Generator().manual_seed(1), 'cpu')  # (64, 24000)

Voices are split between training, validation and test by talker (see `TALKERS`).
"""

from collections.abc import Sequence
from functools import lru_cache
import hashlib
from pathlib import Path

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.resampling import resample
from nsrp_ros.simulation.speech.activity import active_frames
from nsrp_ros.simulation.speech.activity import FRAME
from nsrp_ros.simulation.speech.activity import trim_utterances
from nsrp_ros.simulation.speech.debian_prompts import load_folder
from nsrp_ros.simulation.speech.debian_prompts import load_prompts
from nsrp_ros.simulation.speech.debian_prompts import PROMPT_RATE
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
from nsrp_ros.simulation.speech.debian_prompts import StrPath
from nsrp_ros.simulation.speech.synthetic import synthetic_talker
import numpy as np
from numpy.typing import NDArray
import torch

TALKERS = {'train': ('en', 'es', 'it'), 'val': ('fr',), 'test': ('ru',)}
"""Prompt languages, one talker each, by split."""
MIN_ACTIVE = 0.5
"""Share of an analysis window's frames that must be speech."""
_GAP = 0.15  # seconds of silence between two utterances of running speech


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

    def __init__(self, talkers: Sequence[Sequence[NDArray[np.int16]]],
                 sample_rate: int = 16000) -> None:
        self.sample_rate = sample_rate
        self._frame = round(FRAME * sample_rate)
        gap = np.zeros(round(_GAP * sample_rate), np.int16)
        self._bounds: list[tuple[int, int]] = []  # of utterances, in samples
        pieces, first_sample, at = [], [], 0
        for utterances in talkers:
            talker_start = at
            for utterance in trim_utterances(utterances, sample_rate):
                self._bounds.append((at, at + len(utterance)))
                pieces += [utterance, gap]
                at += len(utterance) + len(gap)
            padding = -at % self._frame  # each talker starts at the beginning of a frame
            pieces.append(np.zeros(padding, np.int16))
            at += padding
            first_sample.append(np.full((at - talker_start) // self._frame, talker_start))
        if at == 0:
            raise SpeechError('there is no speech in these files, only silence')
        self._samples = torch.from_numpy(np.concatenate(pieces))
        # The first sample of each frame's talker: no window may begin before.
        self._talker_start = torch.from_numpy(np.concatenate(first_sample))
        starts = np.unique(self._talker_start.numpy())
        active = np.concatenate([
            active_frames(part, sample_rate)
            for part in np.split(self._samples.numpy(), starts[1:])])
        n_window = round(WindowConfig().length / FRAME)
        counts = np.cumsum(np.concatenate([np.zeros(n_window), active]))
        share = (counts[n_window:] - counts[:-n_window]) / n_window
        self._usable = torch.from_numpy(share >= MIN_ACTIVE)  # by the window's last frame
        # Samples and possible window ends by device and length of the stretches.
        self._ready: dict[tuple[str, int], tuple[torch.Tensor, torch.Tensor]] = {}

    @classmethod
    def load(cls, languages: Sequence[str] = TALKERS['train'], folder: StrPath | None = None,
             cache: StrPath | None = None, sample_rate: int = 16000,
             speeds: Sequence[float] = (1.0,)) -> 'SpeechBank':
        """
        Load prompts, or a folder of audio files.

        Parameters
        ----------
        languages : sequence of str
            Prompt languages, one talker each; see debian_prompts.py.
        folder : path, optional
            A folder of audio files to use instead, taken as one talker.
        cache : path, optional
            Where prompts are stored; see `debian_prompts.cache_folder`.
        sample_rate : int
            Hertz.
        speeds : sequence of float
            Playback speeds of every talker's speech: 0.9 and 1.1 add voices of other pitch.

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
    def synthetic(cls, generator: np.random.Generator, n_talkers: int = 4, seconds: float = 30.0,
                  sample_rate: int = 16000) -> 'SpeechBank':
        """Synthesise some seconds of speech by each of `n_talkers`; see synthetic.py."""
        return cls([[np.int16(32767 * synthetic_talker(seconds, generator, sample_rate))]
                    for _ in range(n_talkers)], sample_rate)

    @property
    def seconds(self) -> float:
        """Return the length of all running speech."""
        return len(self._samples) / self.sample_rate

    def checksum(self) -> str:
        """Return the sha256 of all samples, in hexadecimal."""
        return hashlib.sha256(self._samples.numpy().tobytes()).hexdigest()

    def utterances(self, min_seconds: float = 0.0) -> list[NDArray[np.float32]]:
        """Return whole utterances, float32 arrays (T,), of `min_seconds` or more."""
        samples = self._samples.numpy()
        return [samples[a:b].astype(np.float32) / np.float32(32768) for a, b in self._bounds
                if b - a >= min_seconds * self.sample_rate]

    def draw(self, n: int, n_samples: int, generator: torch.Generator,
             device: str | torch.device = 'cpu') -> torch.Tensor:
        """
        Cut stretches of running speech that end in a window of speech.

        Parameters
        ----------
        n : int
            How many.
        n_samples : int
            Length of each, one analysis window (0.5 s) or more; what precedes the last window
            is still reverberating in it.
        generator : torch.Generator
            On any device.
        device : str or torch.device
            Device of the result; the bank is copied there once.

        Returns
        -------
        torch.Tensor
            Shape (n, n_samples), float32. At least half of the last 0.5 s is speech, by energy.

        Raises
        ------
        SpeechError
            If no talker has enough running speech.

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


def _at_rate(utterances: list[NDArray[np.int16]], rate: float,
             target_rate: int) -> list[NDArray[np.int16]]:
    """Resample int16 utterances."""
    if rate == target_rate:
        return utterances
    return [np.clip(np.rint(resample(u[None].astype(np.float32), rate, target_rate)[0]),
                    -32768, 32767).astype(np.int16) for u in utterances]


@lru_cache(maxsize=2)
def _synthetic(sample_rate: int) -> SpeechBank:
    return SpeechBank.synthetic(np.random.default_rng(0), sample_rate=sample_rate)


def find_speech(source: StrPath = 'auto', languages: Sequence[str] = TALKERS['train'],
                cache: StrPath | None = None,
                sample_rate: int = 16000) -> tuple[SpeechBank, str]:
    """
    Find speech, and describe where it comes from.

    Parameters
    ----------
    source : str or path
        'prompts' (Debian's voice prompts), 'synthetic', a folder of audio files, or 'auto':
        the prompts, or the synthetic talker where they are not available.
    languages : sequence of str
        Of the prompts.
    cache : path, optional
        Where prompts are stored.
    sample_rate : int
        Hertz.

    Returns
    -------
    tuple of SpeechBank and str
        The speech, and a description of its source.

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
