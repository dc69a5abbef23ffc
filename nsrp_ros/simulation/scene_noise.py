"""
All noise of a scene together: interfering talkers, machine hum, the robot's own and sensors'.

Shapes: B scenes, M microphones, T samples.
"""

from dataclasses import dataclass

from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.babble import babble_in_room
from nsrp_ros.simulation.babble import diffuse_babble
from nsrp_ros.simulation.devices.ego_noise import ego_noise
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.noise import scale_to_snr
from nsrp_ros.simulation.noise import sensor_noise
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
import torch


@dataclass(frozen=True)
class CleanScenes:
    """
    Scenes before noise is added.

    Attributes
    ----------
    signals : torch.Tensor
        Shape (B, M, T): of the active talkers, and what is left of one who has stopped.
    power : torch.Tensor
        Shape (B, 1, 1), float64: the mean power of the first talker's signals, to which all noise
        is in proportion. Where nobody talks it is what he would have.
    faults : torch.Tensor
        Shape (B, M, 1) or (): the microphones' amplitude gains for all sound.
    crowded : torch.Tensor
        Shape (B,), bool: where interfering talkers may be in the room, and not only around it.
    device_ids : torch.Tensor
        Shape (B, M), int64: the device of each microphone; the first is the robot's.
    rooms : Rooms
        B rooms.
    acoustics : Acoustics or None
        Of the same rooms.

    """

    signals: torch.Tensor
    power: torch.Tensor
    faults: torch.Tensor
    crowded: torch.Tensor
    device_ids: torch.Tensor
    rooms: Rooms
    acoustics: Acoustics | None


def add_scene_noise(noise: NoiseConfig, room_config: ImageSourceConfig, scenes: CleanScenes,
                    speech_bank: SpeechBank, n_speech: int, generator: torch.Generator,
                    max_bytes: int) -> torch.Tensor:
    """
    Add all noise of a configuration to scenes.

    Parameters
    ----------
    noise : NoiseConfig
        The distribution.
    room_config : RealConfig
        Of it, `max_order` counts: the highest reflection order of interfering talkers.
    scenes : CleanScenes
        B scenes.
    speech_bank : SpeechBank
        Speech of interfering talkers.
    n_speech : int
        Length of their speech: a window and the longest room response before it.
    generator : torch.Generator
        On any device.
    max_bytes : int
        About how much memory may be used at once.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    sound, power, rooms = scenes.signals.clone(), scenes.power, scenes.rooms
    draw, rate = Draw(generator), speech_bank.sample_rate
    device, (n_scenes, n_mics, n_samples) = sound.device, sound.shape

    def uniform(*shape: int) -> torch.Tensor:
        return draw.uniform(*shape).to(device)

    def normal(*shape: int) -> torch.Tensor:
        return draw.normal(*shape).to(device)

    def snr_db(ends: tuple[float, float], n: int) -> torch.Tensor:
        return ends[0] + (ends[1] - ends[0]) * uniform(n)

    which = uniform(n_scenes)  # below babble / 2 in the room, below babble a diffuse field
    inside = ((which < noise.babble / 2) & scenes.crowded).nonzero()[:, 0]
    around = ((which >= noise.babble / 2) & (which < noise.babble)).nonzero()[:, 0]
    humming = (uniform(n_scenes) < noise.hum).nonzero()[:, 0]
    if len(inside):
        acoustics = None if scenes.acoustics is None else scenes.acoustics[inside]
        babble = babble_in_room(noise, room_config, rooms[inside], acoustics, speech_bank,
                                n_speech, generator, max_bytes)
        sound[inside] += scale_to_snr(babble, power[inside],
                                      snr_db(noise.babble_snr_db, len(inside)))
    if len(around):
        babble = diffuse_babble(noise, rooms.mic_positions[around], speech_bank, n_samples,
                                generator)
        sound[around] += scale_to_snr(babble, power[around],
                                      snr_db(noise.babble_snr_db, len(around)))
    if len(humming):
        machines = hum(rooms.mic_positions[humming], n_samples, uniform, normal, rate)
        sound[humming] += scale_to_snr(machines, power[humming],
                                       snr_db(noise.hum_snr_db, len(humming)))
    if noise.ego:
        on_robot = (uniform(n_scenes) < noise.ego).nonzero()[:, 0]
        if len(on_robot):
            own = ego_noise(rooms.mic_positions[on_robot], scenes.device_ids[on_robot], n_samples,
                            uniform, normal, rate)
            sound[on_robot] += scale_to_snr(own, power[on_robot],
                                            snr_db(noise.ego_snr_db, len(on_robot)))
    sensors = sensor_noise(noise, (n_scenes, n_mics, n_samples), uniform, normal, rate)
    return sound * scenes.faults + scale_to_snr(sensors, power,
                                                snr_db(noise.sensor_snr_db, n_scenes))
