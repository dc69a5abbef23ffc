"""
Recorded speech: Debian's Asterisk voice prompts, downloaded without root rights.

The packages asterisk-core-sounds-{en,es,fr,it,ru}-g722 hold five talkers, dry and clean, 16 kHz
with a bandwidth of 7 kHz. They are downloaded with `apt-get download`, unpacked with `dpkg -x`
into a cache folder, and decoded once into one file of int16 samples per language.

Licences: en, es and fr are CC BY-SA 3.0 (Allison Smith, June Wallack and others, Digium, Inc.);
it and ru are CC BY 3.0 (the latter by Maxim Topal). Nothing of them is part of this package.
"""

import os
from pathlib import Path
import subprocess
import tempfile

from nsrp_ros.core.resampling import resample
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

LANGUAGES = ('en', 'es', 'fr', 'it', 'ru')
PROMPT_RATE = 16000
StrPath = str | os.PathLike[str]
AUDIO_SUFFIXES = frozenset('.wav .flac .ogg .oga .opus .mp3 .m4a .aac .aif .aiff .g722'.split())


class SpeechError(RuntimeError):
    """The wanted speech is not available."""


def cache_folder(cache: StrPath | None = None) -> Path:
    """
    Return the folder of downloaded speech.

    `cache` itself, else $NSRP_CACHE/speech, else $XDG_CACHE_HOME/nsrp_ros/speech, else
    ~/.cache/nsrp_ros/speech.
    """
    if cache is not None:
        return Path(cache)
    if os.environ.get('NSRP_CACHE'):
        return Path(os.environ['NSRP_CACHE']) / 'speech'
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'nsrp_ros/speech'


def load_prompts(language: str, cache: StrPath | None = None) -> list[NDArray[np.int16]]:
    """
    Load one language's prompts; where the cache has none, download and decode them.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.
    cache : path, optional
        See `cache_folder`.

    Returns
    -------
    list of numpy.ndarray
        Utterances at 16 kHz, int16, in the order of their file names.

    Raises
    ------
    SpeechError
        If the prompts are not in the cache and cannot be downloaded.

    """
    if language not in LANGUAGES:
        raise SpeechError(f'there are no prompts in {language!r}; languages: {LANGUAGES}')
    folder = cache_folder(cache)
    file = folder / f'{language}.npz'
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _fetch(f'asterisk-core-sounds-{language}-g722', Path(scratch), folder / 'apt')
            utterances = [decode(path, PROMPT_RATE) for path in tqdm(
                sorted(Path(scratch).rglob('*.g722')), desc=f'decoding {language} prompts')]
            if not utterances:
                raise SpeechError(f'the package of the {language} prompts holds no g722 file')
            # Written aside and renamed, so that no reader finds an incomplete file.
            part = Path(scratch) / 'decoded.npz'
            np.savez(part, samples=np.concatenate(utterances),
                     ends=np.cumsum([len(u) for u in utterances]))
            part.replace(file)
    with np.load(file) as stored:
        return np.split(stored['samples'], stored['ends'][:-1])


def _fetch(package: str, folder: Path, apt: Path) -> None:
    """Download a Debian package and unpack it into a folder, without root rights."""
    try:
        try:
            _call(['apt-get', 'download', package], folder)
        except subprocess.CalledProcessError:
            # Package lists are missing or outdated: own lists need no root rights.
            (apt / 'lists/partial').mkdir(parents=True, exist_ok=True)
            (apt / 'cache/archives/partial').mkdir(parents=True, exist_ok=True)
            own = ['-o', f'Dir::State::Lists={apt.resolve() / "lists"}',
                   '-o', f'Dir::Cache={apt.resolve() / "cache"}', '-o', 'Debug::NoLocking=1']
            _call(['apt-get', *own, 'update'], folder)
            _call(['apt-get', *own, 'download', package], folder)
        for archive in folder.glob('*.deb'):
            _call(['dpkg', '-x', archive.name, '.'], folder)
    except (OSError, subprocess.SubprocessError) as error:
        output = (getattr(error, 'stderr', None) or str(error)).strip().splitlines()
        reason = output[-1] if output else error
        raise SpeechError(f'cannot fetch {package}: {reason}') from error


def _call(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600,
                   stdin=subprocess.DEVNULL)


def decode(path: StrPath, sample_rate: int) -> NDArray[np.int16]:
    """
    Decode any audio file's first (left) channel.

    Parameters
    ----------
    path : path
        Of a format that libsndfile or FFmpeg can read.
    sample_rate : int
        Of the result, hertz.

    Returns
    -------
    numpy.ndarray
        Shape (T,), int16.

    Raises
    ------
    SpeechError
        If the file cannot be decoded.

    """
    # Imported only here: training with decoded speech in the cache needs no decoder.
    import av
    import soundfile
    try:
        try:
            samples, rate = soundfile.read(path, dtype='float32', always_2d=True)
            samples = samples[:, 0]
        except soundfile.LibsndfileError:
            samples, rate = _decode_by_ffmpeg(path)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise SpeechError(f'cannot decode {path}: {error}') from error
    samples = resample(samples[None], rate, sample_rate)[0]
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def _decode_by_ffmpeg(path: StrPath) -> tuple[NDArray[np.float32], int]:
    """Return the left channel (T,) as float32, and its rate."""
    import av
    # A G.722 file has no header: its format is known by its name alone.
    container_format = 'g722' if Path(path).suffix == '.g722' else None
    with av.open(str(path), format=container_format) as container:
        stream = container.streams.audio[0]
        planar = av.AudioResampler(format='fltp', layout=None, rate=None)
        frames = [out.to_ndarray()[0] for frame in container.decode(stream)
                  for out in planar.resample(frame)]
        rate = stream.codec_context.sample_rate
    return np.concatenate(frames) if frames else np.zeros(0, np.float32), rate


def load_folder(folder: StrPath, sample_rate: int) -> list[NDArray[np.int16]]:
    """
    Decode every audio file below a folder, in the order of their names.

    Returns
    -------
    list of numpy.ndarray
        int16 utterances.

    Raises
    ------
    SpeechError
        If the folder holds no audio file, or one that cannot be decoded.

    """
    paths = sorted(p for p in Path(folder).rglob('*') if p.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise SpeechError(f'there is no audio file below {folder}')
    return [decode(path, sample_rate) for path in tqdm(
        paths, desc='decoding speech', disable=len(paths) < 20)]
