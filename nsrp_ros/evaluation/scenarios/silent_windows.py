"""
Windows without a talker, and windows with a talker in the same rooms.

They test voice presence detection. A silent window is exactly the noise of the window at
`SILENT_SNR`, so that the two differ in nothing but the talker.

Shapes: M microphones, T samples of a window.
"""

from nsrp_ros.datasets.generate import scene_generator
from nsrp_ros.evaluation.scenarios.paired_scenes import draw_scene
from nsrp_ros.evaluation.scenarios.paired_scenes import join_scenes
from nsrp_ros.evaluation.scenarios.paired_scenes import MAX_BYTES
from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.acoustics.room_responses import render_microphones
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.babble import diffuse_babble
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.noise import scale_to_snr
from nsrp_ros.simulation.noise import sensor_noise
from nsrp_ros.simulation.random_draws import Draw
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
import torch

NOISES = ('white', 'pink', 'hum', 'diffuse')
"""Noise with and without a talker: sensor noise of two colours, the hum of machines, and a diffuse
field of pink noise."""
SILENCES = (*NOISES, 'digital')
"""Windows without a talker; 'digital' is all zeros. Thresholds are set on these."""
AMBIGUOUS = ('ended', 'voices')
"""Windows without a talker that hold speech: the reverberation of a talker who stopped
`ENDED_SECONDS` before the window; and babble of talkers all around, none of them to be located."""
SNRS = (0, 5, 10, 20, 30)
"""Signal-to-noise ratios of the windows with a talker, decibels."""
SILENT_SNR = 20.0
"""Decibels of the noise without a talker below the power that the talker would have had."""
SENSOR_NOISE_DB = 30.0
"""Decibels of every sensor's white noise below other noise."""
ENDED_SECONDS = 0.1


def silent_and_talking_windows(config: RealConfig, n_mics: int, n_rooms: int, bank: SpeechBank,
                               seed: int = 0) -> dict[tuple[str, int | None], Scenes]:
    """
    Make silent and talking windows of the same rooms.

    Parameters
    ----------
    config : RealConfig
        The rooms; its noise and imperfect devices are left out.
    n_mics, n_rooms : int
        M and B.
    bank : SpeechBank
        Speech of the talkers.
    seed : int
        Of the rooms; 0 is the frozen test sets'.

    Returns
    -------
    dict of tuple to Scenes
        Under (kind, None) for each of `SILENCES` and `AMBIGUOUS`, the silent ones; under
        (kind, SNR in dB) for each of `NOISES` and `SNRS`, the others. NumPy arrays.

    """
    made: dict[tuple[str, int | None], list[Scenes]] = {}

    def add(kind: str, snr_db: int | None, signals: torch.Tensor, rooms: Rooms) -> None:
        made.setdefault((kind, snr_db), []).append(Scenes(
            signals, rooms.mic_positions, rooms.source_position, rooms.dims, bank.sample_rate))

    for k in range(n_rooms):
        generator = scene_generator(seed, 'test', k)
        rooms, acoustics, speech = draw_scene(config, n_mics, bank, generator)
        state = generator.get_state()
        clean = render_microphones(config, rooms, speech, bank.sample_rate, MAX_BYTES, acoustics,
                                   generator)
        power = mean_power(clean)
        noises = _noises(rooms.mic_positions, bank, generator)
        for kind, noise in noises.items():
            add(kind, None, _at_snr(noise, power, SILENT_SNR), rooms)
            for snr_db in SNRS if kind in NOISES else ():
                add(kind, snr_db, clean + _at_snr(noise, power, snr_db), rooms)
        add('digital', None, torch.zeros_like(clean), rooms)
        n_ended = window_length(bank.sample_rate) + round(ENDED_SECONDS * bank.sample_rate)
        ended = torch.cat([speech[:, n_ended:], torch.zeros(1, n_ended)], dim=1)
        generator.set_state(state)  # the same reflections as of the talker who has not ended
        reverberation = render_microphones(config, rooms, ended, bank.sample_rate, MAX_BYTES,
                                           acoustics, generator)
        add('ended', None, reverberation + _at_snr(noises['white'], power, SENSOR_NOISE_DB), rooms)
    return {key: join_scenes(scenes) for key, scenes in made.items()}


def _at_snr(noise: torch.Tensor, power: torch.Tensor, snr_db: float) -> torch.Tensor:
    """Scale noise (1, M, T) to decibels below the talker's power."""
    return scale_to_snr(noise, power, torch.tensor([float(snr_db)]))


def _noises(mic_positions: torch.Tensor, bank: SpeechBank,
            generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Draw each kind of noise for one room's microphones (1, M, 3): (1, M, T)."""
    draw, rate = Draw(generator), bank.sample_rate
    shape = (*mic_positions.shape[:2], window_length(rate))

    def sensors(colour: float) -> torch.Tensor:
        config = NoiseConfig(sensor_colour=(colour, colour), sensor_spread_db=0.0)
        return sensor_noise(config, shape, draw.uniform, draw.normal, rate)

    white, pink = sensors(0.0), sensors(1.0)
    others = {'hum': hum(mic_positions, shape[-1], draw.uniform, draw.normal, rate),
              'diffuse': diffuse_field(sensors(1.0), mic_positions, rate),
              'voices': diffuse_babble(NoiseConfig(), mic_positions, bank, shape[-1], generator)}
    sensor = sensors(0.0)
    return {'white': white, 'pink': pink,
            **{kind: noise + _at_snr(sensor, mean_power(noise), SENSOR_NOISE_DB)
               for kind, noise in others.items()}}
