"""
Others who talk: elsewhere in the room, or all around.

Shapes: B scenes, M microphones, T samples.
"""

from dataclasses import replace

from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.acoustics.room_responses import hear
import torch


def babble_in_room(config, room_config, rooms, acoustics, speech_bank, n_samples, generator,
                   max_bytes):
    """
    Let others talk in the room, at any place and turned anywhere.

    Parameters
    ----------
    config : NoiseConfig
        How many they are.
    room_config : RoomConfig
        Says how many reflections count.
    rooms : Rooms
        B rooms.
    acoustics : Acoustics or None
        Of the same rooms.
    speech_bank : SpeechBank
        What they say.
    n_samples : int
        Of their speech: a window with what may still ring before it.
    generator : torch.Generator
        On any device.
    max_bytes : int
        About how much memory may be taken at once.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    device, n_rooms = rooms.dims.device, len(rooms)
    heard = 0.0
    for _ in range(config.babble_talkers):
        place = torch.rand(n_rooms, 3, generator=generator, device=generator.device).to(device)
        other = replace(rooms, source_position=(0.1 + 0.8 * place) * rooms.dims)
        if acoustics is not None and acoustics.talker_axis is not None:
            look = torch.randn(n_rooms, 3, generator=generator,
                               device=generator.device).to(device)
            look = look / torch.linalg.vector_norm(look, dim=1, keepdim=True)
            acoustics = replace(acoustics, talker_axis=look)
        said = speech_bank.draw(n_rooms, n_samples, generator, device)
        said = said / said.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-9)
        heard = heard + hear(room_config, other, said, speech_bank.sample_rate, max_bytes,
                             acoustics, generator)
    return heard


def babble_around(config, mic_positions, speech_bank, n_samples, generator):
    """
    Let others talk all around, too far to tell from where.

    Parameters
    ----------
    config : NoiseConfig
        How many they are.
    mic_positions : torch.Tensor
        Shape (B, M, 3), metres.
    speech_bank : SpeechBank
        What they say.
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
    # As a diffuse field has it, different directions bring different talkers.
    said = speech_bank.draw(n_scenes * n_mics * config.babble_talkers, n_samples, generator,
                            mic_positions.device)
    said = said / said.square().mean(dim=1, keepdim=True).sqrt().clamp(min=1e-9)
    said = said.reshape(n_scenes, n_mics, config.babble_talkers, n_samples).sum(dim=2)
    return diffuse_field(said, mic_positions, speech_bank.sample_rate)
