"""The few scenes and helpers that several test files share."""

import os
from pathlib import Path

from nsrp_ros.core.geometry import SPEED_OF_SOUND
import numpy as np
import pytest

# Tests never talk to other machines, nor other machines to them.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

RECORDED = Path(os.environ.get(
    'NSRP_RECORDED', Path(__file__).resolve().parents[2] / 'shared/recorded'))


def propagate(source_signal, source_position, mic_positions, sample_rate=16000):
    """Let a signal (T,) reach microphones through free air: (M, T), exact fractional delays."""
    n_fft = 4 * len(source_signal)
    spectrum = np.fft.rfft(source_signal, n_fft)
    frequency = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    distance = np.linalg.norm(np.asarray(mic_positions) - source_position, axis=1)
    delay = distance / SPEED_OF_SOUND
    shifted = spectrum * np.exp(-2j * np.pi * frequency * delay[:, None]) / distance[:, None]
    return np.fft.irfft(shifted, n_fft, axis=1)[:, :len(source_signal)].astype(np.float32)


class Anechoic:
    """A room without walls' echoes: six microphones, one talker who hisses."""

    sample_rate = 16000
    room_dims = np.array([6.0, 5.0, 3.0])
    mic_positions = np.array([(0.5, 0.5, 1.0), (5.5, 0.7, 1.4), (5.2, 4.5, 0.8),
                              (0.6, 4.4, 1.6), (3.1, 0.3, 2.0), (2.8, 4.7, 0.5)])
    source_position = np.array([4.23, 3.11, 1.55])

    def signals(self, seconds=0.5, seed=0, level=0.05):
        """Return (M, T) signals of white noise from the source, the loudest at `level` rms."""
        noise = np.random.default_rng(seed).standard_normal(round(seconds * self.sample_rate))
        heard = propagate(noise, self.source_position, self.mic_positions, self.sample_rate)
        return (level * heard / heard.std(axis=1).max()).astype(np.float32)


@pytest.fixture
def anechoic():
    """Return the scene, for tests that need no reverberation to be true."""
    return Anechoic()


@pytest.fixture
def recorded_folder():
    """Return the folder of real recordings, or skip."""
    if not (RECORDED / 'scenes.json').is_file():
        pytest.skip(f'the real recordings are not at {RECORDED} (NSRP_RECORDED names another '
                    'place)')
    return RECORDED


@pytest.fixture
def own(tmp_path):
    """Make rigs for one test alone, each in a domain of its own; all processes must end well."""
    from node_rig import Rig
    rigs = []

    def make(domain):
        rigs.append(Rig(domain, tmp_path))
        return rigs[-1]
    yield make
    for rig in rigs:
        assert set(rig.close()) <= {0}, [p.log.read_text() for p in rig._processes]


@pytest.fixture
def make_node():
    """Return a maker of nodes with parameter overrides, in a context of its own."""
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    context = Context()
    rclpy.init(context=context, domain_id=31)
    nodes = []

    def make(**values):
        overrides = [Parameter(name, value=list(v) if isinstance(v, tuple) else v)
                     for name, v in values.items()]
        nodes.append(Node('test', context=context, parameter_overrides=overrides))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()
