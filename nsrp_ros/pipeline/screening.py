"""
Which windows, channels and microphones can be used: the same rules for nodes and bags.

    check_channels -> usable_microphones -> make_scene -> locate or locate_all

A window that cannot be trusted is skipped, with a `SkipReason`; no position is ever invented.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

from nsrp_ros.audio.windowing import level_db
from nsrp_ros.audio.windowing import Window
from nsrp_ros.core.estimate import Estimate
from nsrp_ros.core.skip_reasons import SkipReason
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.pipeline.settings import Room
import numpy as np
from numpy.typing import NDArray

CLIPPED = 0.999
"""Share of full scale from which a sample counts as clipped."""
CLIPPED_SHARE = 0.005
"""Share of clipped samples above which a channel is reported as clipped."""
FAINT_DB = 40.0
"""Decibels below the median level at which a channel holds only its own noise."""


class WindowSkipped(Exception):
    """
    A window that must not be located.

    Parameters
    ----------
    reason : SkipReason
        The reason that is counted.
    sentence : str
        What happened, for the user.

    """

    def __init__(self, reason: SkipReason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Channels:
    """
    Which of a window's channels are faulty.

    Attributes
    ----------
    dead : numpy.ndarray
        Shape (M,), bool: constant to the last bit, as no working microphone is.
    faint : numpy.ndarray
        Shape (M,), bool: more than `FAINT_DB` below the median of those not dead.
    clipped : numpy.ndarray
        Shape (M,), bool: clipped; such channels are used nevertheless.

    """

    dead: NDArray[np.bool_]
    faint: NDArray[np.bool_]
    clipped: NDArray[np.bool_]

    @property
    def with_sound(self) -> NDArray[np.bool_]:
        """Return which channels (M,) hold sound."""
        return ~self.dead & ~self.faint


@dataclass(frozen=True)
class MicrophonePositions:
    """
    Positions of the microphones at one time.

    Attributes
    ----------
    positions : numpy.ndarray
        Shape (M, 3), metres in frame_id; NaN where a microphone is not known.
    missing : dict
        For each microphone that is not known its name, with a sentence why.
    late : frozenset of str
        Those among them whose positions may still arrive.

    """

    positions: NDArray[np.float64]
    missing: dict[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()


class Scene(NamedTuple):
    """The arguments of `Localizer.locate`: (M, T), hertz, (M, 3) metres, (3,) metres."""

    signals: NDArray[np.float32]
    sample_rate: float
    mic_positions: NDArray[np.float64]
    room_dims: tuple[float, ...]


def check_channels(signals: NDArray[np.float32], silence_threshold_db: float) -> Channels:
    """
    Check which channels hold sound.

    Parameters
    ----------
    signals : numpy.ndarray
        Shape (M, T), full scale being 1.
    silence_threshold_db : float
        Level of the loudest channel below which a window is silent, dB full scale.

    Returns
    -------
    Channels
        See there.

    Raises
    ------
    WindowSkipped
        With the reason NAN or SILENCE.

    """
    finite = np.isfinite(signals).all(axis=1)
    if not finite.all():
        raise WindowSkipped(SkipReason.NAN, 'NaN or infinity in channels '
                            f'{np.flatnonzero(~finite).tolist()}')
    level = level_db(signals)
    if level.max() < silence_threshold_db:
        raise WindowSkipped(SkipReason.SILENCE, 'the loudest channel is at '
                            f'{level.max():.0f} dB full scale')
    dead = ~np.isfinite(level)
    return Channels(dead, ~dead & (level < np.median(level[~dead]) - FAINT_DB),
                    (np.abs(signals) >= CLIPPED).mean(axis=1) > CLIPPED_SHARE)


def usable_microphones(channels: Channels,
                       microphones: MicrophonePositions) -> NDArray[np.bool_]:
    """
    Determine which microphones hold sound and have a known position.

    Parameters
    ----------
    channels : Channels
        Of M channels.
    microphones : MicrophonePositions
        One for each channel.

    Returns
    -------
    numpy.ndarray
        Shape (M,), bool.

    Raises
    ------
    WindowSkipped
        With the reason CHANNEL_COUNT where the numbers of channels and positions differ.

    """
    n_channels, n_positions = len(channels.dead), len(microphones.positions)
    if n_channels != n_positions:
        raise WindowSkipped(SkipReason.CHANNEL_COUNT, f'the audio has {n_channels} channels, but '
                            f'{n_positions} microphones are configured')
    return np.isfinite(microphones.positions).all(axis=1) & channels.with_sound


def make_scene(window: Window, usable: NDArray[np.bool_], microphones: MicrophonePositions,
               room: Room, min_microphones: int) -> Scene:
    """
    Assemble the arguments of the localizer.

    Parameters
    ----------
    window : Window
        Of M channels.
    usable : numpy.ndarray
        Shape (M,), bool: the microphones to use.
    microphones : MicrophonePositions
        In the frame of the room's origin.
    room : Room
        The room that they are in.
    min_microphones : int
        Fewest that an estimate may rest on.

    Returns
    -------
    Scene
        Of the usable microphones, in the room's own frame.

    Raises
    ------
    WindowSkipped
        With the reason TOO_FEW_MICROPHONES; the sentence says what is missing.

    """
    if usable.sum() < min_microphones:
        why = '; '.join(microphones.missing.values()) or (
            'channels are dead or silent, or the clocks of their devices not known yet')
        raise WindowSkipped(SkipReason.TOO_FEW_MICROPHONES, f'{usable.sum()} of {len(usable)} '
                            f'microphones are usable, {min_microphones} are needed: {why}')
    positions = microphones.positions - np.asarray(room.origin)
    return Scene(window.signals[usable], window.sample_rate, positions[usable], room.dims)


def locate(localizer: Localizer, scene: Scene) -> Estimate:
    """Locate the talker of one scene; WindowSkipped with SCENE where the localizer refuses it."""
    try:
        return localizer.locate(*scene)
    except ValueError as error:
        raise WindowSkipped(SkipReason.SCENE, str(error)) from error


def locate_all(localizer: Localizer, scenes: Sequence[Scene]) -> list[Estimate | WindowSkipped]:
    """
    Locate the talkers of several scenes: together, or one by one where one is refused.

    Parameters
    ----------
    localizer : Localizer
        Locates.
    scenes : sequence of Scene
        All of the same length.

    Returns
    -------
    list of Estimate or WindowSkipped
        The outcome of each scene, in their order.

    """
    try:
        return list(localizer.locate_all(list(scenes)))
    except ValueError:
        return [_outcome(localizer, scene) for scene in scenes]


def _outcome(localizer: Localizer, scene: Scene) -> Estimate | WindowSkipped:
    try:
        return locate(localizer, scene)
    except WindowSkipped as skipped:
        return skipped
