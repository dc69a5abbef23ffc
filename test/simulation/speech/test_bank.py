"""Speech: drawn windows hold speech, follow the seed, and are available offline."""

import av
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.simulation.speech.debian_prompts import decode
from nsrp_ros.simulation.speech.debian_prompts import load_prompts
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
from nsrp_ros.simulation.speech.synthetic import synthetic_talker
import numpy as np
import pytest
import soundfile
import torch

RATE = 16000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope='module')
def bank():
    return SpeechBank.synthetic(np.random.default_rng(1), n_talkers=2, seconds=8)


def bursts(rng, loud, silent, count):
    """Return noise (T,), int16, in bursts with silence before, between and after them."""
    pause = np.zeros(int(silent * RATE), np.int16)
    sound = [np.int16(8000 * np.clip(rng.standard_normal(int(loud * RATE)) / 4, -1, 1))
             for _ in range(count)]
    return np.concatenate([pause, *(piece for burst in sound for piece in (burst, pause))])


def test_splits_share_no_talker():
    languages = [language for split in TALKERS.values() for language in split]
    assert len(languages) == len(set(languages))
    assert TALKERS['test'] == ('ru',)


def test_drawn_windows_hold_speech(bank):
    speech = bank.draw(64, 24000, generator(), 'cpu')
    assert speech.shape == (64, 24000) and speech.dtype == torch.float32
    level_db = 10 * torch.log10(speech[:, -8000:].square().mean(dim=1))
    assert level_db.min() > level_db.max() - 25


def test_windows_do_not_end_in_a_long_silence():
    # One second of sound, one of silence: half of all windows would be mostly silent.
    utterance = bursts(np.random.default_rng(2), 1.0, 1.0, 10)
    speech = SpeechBank([[utterance]]).draw(200, 8000, generator(), 'cpu')
    loud = (speech.reshape(200, 50, 160).square().mean(dim=2) > 1e-6).float().mean(dim=1)
    assert loud.min() >= 0.48


def test_same_seed_draws_the_same_speech(bank):
    first, again, other = (bank.draw(4, 9000, generator(seed), 'cpu') for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_running_speech_has_one_talker():
    rng = np.random.default_rng(3)
    low = np.int16(bursts(rng, 3, 0, 1) // 64)
    high = bursts(rng, 3, 0, 1)
    speech = SpeechBank([[low], [high]]).draw(100, 20000, generator(), 'cpu')
    early, later = speech[:, :3000], speech[:, 9000:12000]
    ratio = early.square().mean(dim=1) / later.square().mean(dim=1)
    assert ratio.max() < 2 and ratio.min() > 0.5


def test_silence_without_speech_is_refused():
    with pytest.raises(SpeechError, match='silence'):
        SpeechBank([[np.zeros(RATE, np.int16)]])


def test_too_long_stretch_is_refused(bank):
    with pytest.raises(SpeechError, match='running speech'):
        bank.draw(1, 100 * RATE, generator(), 'cpu')


def test_silence_around_utterances_is_trimmed():
    bank = SpeechBank([[bursts(np.random.default_rng(4), 1.0, 2.0, 1)]])
    [utterance] = bank.utterances()
    assert len(utterance) == pytest.approx(1.1 * RATE, abs=400)
    assert bank.utterances(min_seconds=1.5) == []


def test_synthetic_talker_varies_and_pauses():
    speech = synthetic_talker(6.0, np.random.default_rng(0), RATE)
    assert speech.shape == (6 * RATE,) and np.isfinite(speech).all()
    assert np.abs(speech).max() == pytest.approx(0.5)
    again = synthetic_talker(6.0, np.random.default_rng(0), RATE)
    np.testing.assert_array_equal(speech, again)
    # Speech has far more energy below 4 kHz than above, and a varying level.
    spectrum = np.abs(np.fft.rfft(speech)) ** 2
    assert spectrum[:24000].sum() > 10 * spectrum[24000:].sum()
    frames = (speech[:95040].reshape(-1, 480) ** 2).mean(axis=1)
    assert np.percentile(frames, 95) > 30 * np.percentile(frames, 5)


def test_folder_of_audio_is_read_from_the_left_channel(tmp_path):
    rng = np.random.default_rng(6)
    left = bursts(rng, 2.0, 0.0, 1)
    soundfile.write(tmp_path / 'a.flac', np.stack([left, 0 * left], axis=1), RATE)
    soundfile.write(tmp_path / 'b.wav', bursts(rng, 2.0, 0.0, 1).repeat(3), 3 * RATE)
    bank, description = find_speech(str(tmp_path))
    assert str(tmp_path) in description
    first, second = bank.utterances()
    np.testing.assert_allclose(first, left[:len(first)] / 32768, atol=1e-4)
    assert len(second) == pytest.approx(2.0 * RATE, abs=400)


def test_g722_is_decoded(tmp_path):
    tone = np.int16(8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE))
    with av.open(str(tmp_path / 'tone.g722'), 'w', format='g722') as file:
        stream = file.add_stream('g722', rate=RATE)
        stream.layout = 'mono'
        frame = av.AudioFrame.from_ndarray(tone[None], format='s16', layout='mono')
        frame.sample_rate = RATE
        file.mux([*stream.encode(frame), *stream.encode(None)])
    decoded = decode(tmp_path / 'tone.g722', RATE)
    assert len(decoded) == pytest.approx(RATE, abs=200)
    assert np.abs(np.fft.rfft(decoded[:RATE // 2])).argmax() == 220


def test_error_names_the_damaged_file(tmp_path):
    (tmp_path / 'noise.wav').write_bytes(b'no audio at all')
    with pytest.raises(SpeechError, match='noise.wav'):
        SpeechBank.load(folder=tmp_path)


def test_prompts_are_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', '')  # neither apt-get nor dpkg
    utterances = [bursts(np.random.default_rng(k), 1.0, 0.2, 1) for k in range(3)]
    np.savez(tmp_path / 'it.npz', samples=np.concatenate(utterances),
             ends=np.cumsum([len(u) for u in utterances]))
    for loaded, stored in zip(load_prompts('it', tmp_path), utterances, strict=True):
        np.testing.assert_array_equal(loaded, stored)
    assert len(SpeechBank.load(('it',), cache=tmp_path).utterances()) == 3
    twice = SpeechBank.load(('it',), cache=tmp_path, speeds=(1.0, 1.15))
    assert twice.seconds == pytest.approx(
        SpeechBank.load(('it',), cache=tmp_path).seconds * (1 + 1 / 1.15), rel=0.05)


def test_auto_falls_back_to_synthetic_speech_and_reports_it(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', '')
    bank, description = find_speech('auto', cache=tmp_path)
    assert 'synthetic' in description and 'no voice prompts' in description
    assert bank.seconds > 60
    with pytest.raises(SpeechError, match='cannot fetch'):
        find_speech('prompts', cache=tmp_path)
    with pytest.raises(SpeechError, match='neither a folder'):
        find_speech('nowhere', cache=tmp_path)
