"""
Babble: interfering talkers, at places in the room or as a diffuse field.

Shapes: B scenes, M microphones, T samples.
"""

from dataclasses import replace

from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.rooms.polygons import draw_inside
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
import torch

_MARGIN = 0.2  # metres of interfering talkers to the walls of rooms that are no boxes


def babble_in_room(config: NoiseConfig, room_config: ImageSourceConfig, rooms: Rooms,
                   acoustics: Acoustics | None, speech_bank: SpeechBank, n_samples: int,
                   generator: torch.Generator, max_bytes: int) -> torch.Tensor:
    """
    Render interfering talkers at random places in the room, with random orientation.

    Parameters
    ----------
    config : NoiseConfig
        How many they are.
    room_config : RoomConfig or RealConfig
        Of it, `max_order` counts: the highest reflection order.
    rooms : Rooms
        B rooms.
    acoustics : Acoustics or None
        Of the same rooms.
    speech_bank : SpeechBank
        Their speech.
    n_samples : int
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
    device, n_rooms = rooms.dims.device, len(rooms)
    babble = torch.zeros((), device=device)
    for _ in range(config.babble_talkers):
        place = torch.rand(n_rooms, 3, generator=generator, device=generator.device).to(device)
        position = (0.1 + 0.8 * place) * rooms.dims
        if rooms.outline is not None:
            position[:, :2] = _within(rooms.outline, generator)
        other = replace(rooms, source_position=position)
        if acoustics is not None and acoustics.talker_axis is not None:
            axis = torch.randn(n_rooms, 3, generator=generator,
                               device=generator.device).to(device)
            axis = axis / torch.linalg.vector_norm(axis, dim=1, keepdim=True)
            acoustics = replace(acoustics, talker_axis=axis)
        speech = speech_bank.draw(n_rooms, n_samples, generator, device)
        speech = speech / speech.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-9)
        babble = babble + render_microphones(room_config, other, speech, speech_bank.sample_rate,
                                             max_bytes, acoustics, generator)
    return babble


def _within(outline: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a place (B, 2) within each outline (B, C, 2), away from its walls."""
    def uniform(*shape: int) -> torch.Tensor:
        drawn = torch.rand(shape, generator=generator, device=generator.device)
        return drawn.to(outline.device)
    return draw_inside(outline, 1, _MARGIN, uniform)[:, 0]


def diffuse_babble(config: NoiseConfig, mic_positions: torch.Tensor, speech_bank: SpeechBank,
                   n_samples: int, generator: torch.Generator) -> torch.Tensor:
    """
    Render interfering talkers as a diffuse field, without any direction.

    Parameters
    ----------
    config : NoiseConfig
        How many they are.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    speech_bank : SpeechBank
        Their speech.
    n_samples : int
        T.
    generator : torch.Generator
        On any device.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T).

    """
    n_scenes, n_mics, _ = mic_positions.shape
    # A diffuse field is mixed from independent signals: each microphone has its own talkers.
    speech = speech_bank.draw(n_scenes * n_mics * config.babble_talkers, n_samples, generator,
                              mic_positions.device)
    speech = speech / speech.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-9)
    speech = speech.reshape(n_scenes, n_mics, config.babble_talkers, n_samples).sum(dim=2)
    return diffuse_field(speech, mic_positions, speech_bank.sample_rate)
