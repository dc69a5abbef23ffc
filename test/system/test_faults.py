"""What goes wrong on a real robot: the node stays up, reports it, makes nothing up, recovers."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from nsrp_ros.audio.sample_formats import bytes_from_samples
from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import NDArray
import pytest
from support.anechoic import Anechoic
from support.localizer_rig import CHUNK
from support.localizer_rig import errors
from support.localizer_rig import LocalizerRig
from support.localizer_rig import PREFIXED
from support.localizer_rig import recovering
from support.localizer_rig import shared_localizer

Chunks = Sequence[tuple[int, Any]]
"""Bytes of chunks, with their offsets in nanoseconds."""


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalizerRig]:
    """Start one localizer for all tests, one after another."""
    with shared_localizer(64, tmp_path_factory.mktemp('faults'), **PREFIXED,
                          queue_size=100) as rig:
        yield rig


@pytest.fixture
def rig(shared: LocalizerRig, anechoic: Anechoic) -> Iterator[LocalizerRig]:
    """Give each test a localizer that works, and see that it works again afterwards."""
    with recovering(shared, anechoic) as rig:
        yield rig


def chunks(signals: NDArray[np.float32]) -> Chunks:
    """Cut signals (M, T) into chunks."""
    return [(first * NS // 16000, bytes_from_samples(signals[:, first:first + CHUNK].T))
            for first in range(0, signals.shape[1] - CHUNK + 1, CHUNK)]


def swapped(sequence: Chunks) -> Chunks:
    """Swap every tenth chunk with the one behind it."""
    changed = list(sequence)
    for k in range(5, len(changed) - 1, 10):
        changed[k], changed[k + 1] = changed[k + 1], changed[k]
    return changed


@pytest.mark.parametrize('reason, harm', [
    ('gap', lambda s: [c for k, c in enumerate(s) if k % 20 != 10]),
    ('overlap', lambda s: [c for k, c in enumerate(s) for _ in range(1 + (k % 20 == 10))]),
    ('overlap', swapped),
    ('clock jump', lambda s: s[:40] + [(t - 30 * NS, data) for t, data in s[40:]]),
], ids=['lost', 'duplicated', 'reordered', 'clock set back'])
def test_chunks_that_do_not_follow_one_another(
        rig: LocalizerRig, anechoic: Anechoic, reason: str,
        harm: Callable[[Chunks], Chunks]) -> None:
    """Only whole runs make windows; whatever is published is right, and lies in the audio."""
    before = rig.settled()
    n, n_status, start_ns = len(rig.received.poses), len(rig.status), rig.now_ns
    sequence = harm(chunks(anechoic.signals(3.0)))
    for offset_ns, data in sequence:
        rig.play_bytes(data, late_ns=offset_ns)
        rig.exchange()
    rig.pause(3.0)
    after = rig.settled()
    assert after[f'skipped: {reason}'] > before.get(f'skipped: {reason}', 0)
    new = rig.received.poses[n:]
    assert max(errors(new, anechoic), default=0) < 0.15
    times = [start_ns + t for t, _ in sequence]
    for pose in new:
        assert min(times) <= stamp_to_ns(pose.header.stamp) <= max(times) + CHUNK * NS // 16000
    text = ' '.join(s.message for s in rig.status[n_status:])
    assert reason in text or 'gap' in text  # a chunk that comes late leaves a gap first


def test_dead_faint_and_clipped_channels(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """Each is named by its number; dead and faint ones are left out, the talker still found."""
    n, n_status = len(rig.received.poses), len(rig.status)
    signals = anechoic.signals(2.0, level=0.2)
    signals[1] = 0
    signals[3] *= 1e-3
    signals[4] = np.clip(60 * signals[4], -1, 1)
    rig.play(signals)
    values = rig.settled()
    assert (values['dead channels'], values['silent channels'], values['clipped channels']) == (
        1, 3, 4)
    assert values['microphones'] == '4 of 6'
    assert rig.spin_until(lambda: any(
        'channels 1 are dead' in s.message for s in rig.status[n_status:]))
    assert max(errors(rig.received.poses[n:], anechoic)) < 0.2 and len(rig.received.poses) > n


def test_the_audio_stops_and_comes_back(rig: LocalizerRig, anechoic: Anechoic) -> None:
    """A missing driver is an error after two seconds, and forgiven when it is there again."""
    rig.play(anechoic.signals(0.6))
    assert rig.spin_until(lambda: 'no audio for' in rig.status[-1].message)
    assert rig.status[-1].level == b'\x02'
    rig.pause(5)
    n, n_status = len(rig.received.poses), len(rig.status)
    rig.play(anechoic.signals(1.0))
    assert rig.spin_until(lambda: len(rig.received.poses) > n)
    assert rig.spin_until(lambda: any('no audio' not in s.message for s in rig.status[n_status:]))
