"""
The conditions of the tables of robustness: what is changed, in how many steps, on which rooms.

A family changes one thing. The base of a family is either the paper's ideal rooms (`hard`, white
noise at 30 dB) or `real` ones; all conditions of a family have the same rooms, microphones,
talkers and speech (see paired_scenes.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from functools import partial

from nsrp_ros.evaluation.scenarios.paired_scenes import misjudged
from nsrp_ros.evaluation.scenarios.paired_scenes import simulated
from nsrp_ros.evaluation.scenarios.paired_scenes import walking
from nsrp_ros.evaluation.scenarios.paired_scenes import with_last
from nsrp_ros.evaluation.scenarios.paired_scenes import without_last
from nsrp_ros.evaluation.scenarios.polygonal_rooms import shaped
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.device_errors import DeviceConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.realistic_rooms import RealConfig

BASES = {'hard': RealConfig(room=PRESETS['hard']), 'real': PRESETS['real']}
SNRS = (-5, 0, 5, 10, 15, 20, 25, 30)
"""Decibels."""
SINCE_ALIGNED = 10.0
"""Seconds for which clocks have drifted apart in the family `drift_accumulated`."""
STRONG_FURNITURE = FurnitureConfig(wander=0.2, gain_wander_db=4.0, occluded=0.5,
                                   occlusion_db=20.0)
"""Twice the usual scattering; every other direct path is muffled, by up to 20 dB at 4 kHz."""
_WHITE = NoiseConfig(sensor_snr_db=(30.0, 30.0), sensor_colour=(0.0, 0.0), sensor_spread_db=0.0,
                     babble=0.0, hum=0.0)
_EPSILON = 1e-9  # parts in a million: a clock that is right, but drawn like the others


@dataclass(frozen=True)
class Condition:
    """One row of a table: a label, its place on the axis, and how its scenes are made."""

    label: str
    value: float
    make: Callable
    """Takes (M, B, speech bank, seed), returns `Scenes` of NumPy arrays."""


@dataclass(frozen=True)
class Family:
    """One table and one picture."""

    name: str
    title: str
    axis: str
    """What the values are, with their unit; empty where they only count the labels."""
    note: str
    """What a reader has to know of the scenes."""
    conditions: tuple
    logarithmic: bool = False


def families(base='hard'):
    """
    Return all families.

    Parameters
    ----------
    base : str
        One of `BASES`: what the scenes are but for the condition.

    Returns
    -------
    dict of str to Family
        By name.

    """
    return {family.name: family for family in (
        *_noisy(BASES[base]), *_clocked(BASES[base]), *_mistaken(BASES[base]),
        *_in_other_rooms(BASES[base]))}


def _steps(values, unit, make):
    """Make conditions of numbers; `make` takes a number, returns a configuration."""
    return tuple(Condition(f'{value:g} {unit}', value, partial(simulated, make(value)))
                 for value in values)


def _noisy(base):
    """Return the families of noise."""
    def hissing(snr_db):
        if base.noise is None:  # the very scenes of the base where this is its noise
            return replace(base, room=replace(base.room, snr_db=float(snr_db)))
        return replace(base, noise=replace(_WHITE, sensor_snr_db=(snr_db, snr_db)))

    def babbling(snr_db):
        return replace(base, noise=replace(_WHITE, babble=1.0, babble_snr_db=(snr_db, snr_db)))

    yield Family('snr', 'White noise', 'signal-to-noise ratio (dB)',
                 'White noise of equal sensors, against the mean power over the microphones.',
                 _steps(SNRS, 'dB', hissing))
    yield Family('babble', 'Babble', 'talker to babble (dB)',
                 'Three others talk, of the test voice: in half of the scenes at places in the '
                 'room, in half all around (a diffuse field). White noise at 30 dB.',
                 _steps(SNRS, 'dB', babbling))


def _clocked(base):
    """Return the families of clocks."""
    devices = base.devices or DeviceConfig()

    def late(milliseconds):
        return replace(base, devices=replace(devices, late_scenes=1.0, late=1e-3 * milliseconds))

    def drifting(ppm):
        return replace(base, devices=replace(devices, drift_ppm=max(ppm, _EPSILON)))

    def drifted(ppm):
        # Clocks of -ppm to ppm differ by up to twice as much.
        apart = 2e-6 * ppm * SINCE_ALIGNED
        return replace(base, devices=replace(
            devices, late_scenes=1.0, late=apart, drift_ppm=max(ppm, _EPSILON)))

    ppms = (0, 10, 30, 100)
    yield Family('latency', 'Device latencies', 'longest latency (ms)',
                 'Every device is late by a constant, uniform up to the longest.',
                 _steps((0, 0.1, 0.3, 0.5, 1, 2), 'ms', late))
    yield Family('drift', 'Clock drift within a window', 'largest drift (ppm)',
                 'Every clock is fast or slow by up to the largest drift and right in mid-window, '
                 'as it is where streams are kept aligned.', _steps(ppms, 'ppm', drifting))
    yield Family('drift_accumulated', f'Clock drift, {SINCE_ALIGNED:g} s after the clocks agreed',
                 'largest drift (ppm)',
                 'Clocks as before, whose streams were aligned once and never again: each is '
                 f'late by what has come together over {SINCE_ALIGNED:g} s (100 ppm: up to 2 ms '
                 'between two), and drifts on.', _steps(ppms, 'ppm', drifted))


def _mistaken(base):
    """Return the families of what is told wrongly, and of what is broken."""
    devices = base.devices or DeviceConfig()

    def misplaced(centimetres):
        return replace(base, devices=replace(devices, position_error=0.01 * centimetres))

    def changed(label, value, change):
        return Condition(label, value, partial(_changed, base, change))

    yield Family('positions', 'Position errors of the microphones', 'error (cm rms)',
                 'Told positions are off by a normal error in three dimensions.',
                 _steps((0, 2, 5, 10, 20), 'cm', misplaced))
    yield Family('faults', 'A broken microphone', '',
                 'The last microphone is taken away; or is deaf (hears 30 dB less, above its own '
                 'hiss); or dead (only its hiss, or digital zero) and still listened to.',
                 (Condition('none', 0, partial(simulated, base)),
                  changed('taken away', 1, without_last),
                  changed('deaf', 2, partial(with_last, sound=10 ** (-30 / 20), hiss=True)),
                  changed('dead, hisses', 3, partial(with_last, sound=0.0, hiss=True)),
                  changed('dead, zeros', 4, partial(with_last, sound=0.0, hiss=False))))
    yield Family('dimensions', 'Wrong room dimensions', 'error (%)',
                 'Each side is told too long or too short by this much, by lot; the walls at 0 '
                 'are where they are told, and talkers may be outside the told room.',
                 tuple(changed(f'{percent} %', percent,
                               partial(misjudged, share=percent / 100))
                       for percent in (0, 5, 10)))


def _changed(base, change, n_mics, n_scenes, bank, seed):
    """Simulate scenes of the base, and change them."""
    return change(simulated(base, n_mics, n_scenes, bank, seed))


def _in_other_rooms(base):
    """Return the families of rooms and talkers."""
    def ringing(seconds):
        return replace(base, walls=WallConfig(share=1.0, rt60=(seconds, seconds),
                                              band_spread=1.0), tail=base.tail or TailConfig())

    def furnished(config):
        return partial(simulated, replace(base, furniture=config))

    yield Family('rt60', 'Reverberation time', 'RT60 asked for (s)',
                 "Unequal walls whose mean absorption gives the time by Eyring's formula, alike "
                 'in all bands, and a diffuse late tail; 0.1 s is more than the walls of large '
                 'rooms can swallow.',
                 _steps((0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5), 's', ringing), logarithmic=True)
    yield Family('walking', 'A walking talker', 'speed (m/s)',
                 'Straight ahead, heard every 3 cm of the way; the truth is the place in '
                 'mid-window. White noise at 30 dB, perfect devices.',
                 tuple(Condition(f'{speed:g} m/s', speed, partial(walking, base, speed))
                       for speed in (0, 0.5, 1, 1.5, 2)))
    yield Family('furniture', 'Furniture', '',
                 'Scattering and occlusion: image sources off their places by up to 10 cm a '
                 'reflection, a quarter of the direct paths muffled by up to 12 dB (on); '
                 '20 cm, half of them, 20 dB (strong).',
                 (Condition('off', 0, furnished(replace(FurnitureConfig(), wander=0.0,
                                                        gain_wander_db=0.0, occlusion_db=0.0))),
                  Condition('on', 1, furnished(FurnitureConfig())),
                  Condition('strong', 2, furnished(STRONG_FURNITURE))))
    yield Family('shape', 'Rooms that are no boxes', '',
                 'pyroomacoustics, image sources of order 6 and ray tracing; the bounding box is '
                 'told. Slanted: no two walls at right angles. L: a corner of 0.3 to 0.5 of both '
                 'sides is missing, and may hide the talker. Same devices and walls in each '
                 "(always the paper's walls, white noise at 30 dB).",
                 tuple(Condition(label, k, partial(shaped, shape, PRESETS['hard']))
                       for k, (label, shape) in enumerate((
                           ('box', 'box'), ('slanted walls', 'slanted'), ('L', 'l_shape')))))
