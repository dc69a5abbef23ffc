"""Audio that comes faster or slower than it claims is named, and nothing else is."""

import array

from nsrp_ros.audio.message_types import Chunk
from nsrp_ros.audio.rate_check import Pace
from nsrp_ros.audio.rate_check import STEPS
from nsrp_ros.audio.sample_formats import AudioError
from nsrp_ros.core.stamps import NS
import numpy as np
import pytest
from support.node_rig import ROOM

T0 = 1_790_000_000 * NS
LENGTH = 512 * NS // 16000


def feed(pace, times_ns, n_samples=512):
    """Check a chunk at each time; return the problems, None where there is none."""
    problems = []
    for time_ns in times_ns:
        try:
            pace.check(Chunk(np.zeros((n_samples, 2), np.float32), int(time_ns), 16000))
            problems.append(None)
        except AudioError as problem:
            problems.append(problem)
    return problems


@pytest.mark.parametrize('factor', [0.5, 1.5, 2.0, 4.0])
def test_a_wrong_pace_is_named_until_it_is_right(factor):
    """Half of the bytes are missing, or twice the channels are claimed."""
    pace = Pace()
    jitter = 0.03 * LENGTH * np.random.default_rng(0).standard_normal(60)
    wrong = T0 + factor * LENGTH * np.arange(60) + jitter
    problems = feed(pace, wrong)
    assert problems[:STEPS] == [None] * STEPS
    assert all(problem.reason == 'pace' for problem in problems[STEPS:])
    assert f'after {factor * 0.032:.2f}'[:-1] in str(problems[-1])
    again = feed(pace, wrong[-1] + LENGTH * np.arange(1, 60))
    assert again[STEPS:] == [None] * (59 - STEPS)


def test_what_is_no_wrong_pace():
    """Jitter, chunks that are lost, pauses, bursts, and a clock that is set back."""
    rng = np.random.default_rng(1)
    regular = T0 + LENGTH * np.arange(400)
    lossy = regular[rng.random(400) > 0.3]
    pauses = regular + 3 * NS * (np.arange(400) // 10)
    bursts = T0 + 8 * LENGTH * (np.arange(400) // 8) + np.arange(400) % 8 * 1000
    flood = np.concatenate([regular[:100], T0 + 100 * LENGTH + np.arange(300) * 10_000])
    back = np.concatenate([regular[:200], regular[:200] - 3600 * NS])
    jittery = regular + 0.1 * LENGTH * rng.standard_normal(400)
    for times in (regular, lossy, pauses, bursts, flood, back, jittery):
        assert feed(Pace(), times) == [None] * len(times)
    assert feed(Pace(), regular, n_samples=0) == [None] * 400


def one_byte(samples):
    """Encode samples (n, M) as the driver does that keeps a single byte of each."""
    pcm = np.round(samples * 2 ** 15).astype(np.int16)
    return array.array('B', pcm.astype(np.uint8).tobytes())


def test_a_driver_that_sends_a_byte_a_sample(anechoic, own):
    """Whether it claims 16 bits or 8: nothing is located, the cause is told, and it recovers."""
    rig = own(73)
    rig.start('localizer_node', **ROOM)
    rig.wait_for_localizer()
    rig.say_frames(anechoic.mic_positions)
    for sample_format, cause in (('S16LE', 'single bytes'), ('U8', 'int16 to uint8')):
        rig.say_info(sample_format=sample_format)
        n = len(rig.heard.status)
        rig.play(anechoic.signals(1.5), encode=one_byte, pace=0.005)
        assert rig.spin_until(lambda: any(
            cause in status.message for status in rig.heard.status[n:]), 5), (
                cause, rig.heard.status[-1])
    assert not rig.heard.poses
    rig.say_info()
    rig.play(anechoic.signals(1.5), pace=0.005)
    assert rig.spin_until(lambda: len(rig.heard.poses) >= 3, 10), rig.heard.status[-1]
