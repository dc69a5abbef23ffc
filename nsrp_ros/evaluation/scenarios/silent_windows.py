"""
Windows in which nobody talks, and the same rooms' windows in which somebody does.

Whoever detects talkers is given both. A silent window is exactly what stays of a window at
`SILENT_SNR` when the talker is taken away, so that nothing but the talker tells them apart.

Shapes: M microphones, T samples of a window.
"""

from nsrp_ros.datasets.generate import scene_generator
from nsrp_ros.evaluation.scenarios.paired_scenes import draw_talk
from nsrp_ros.evaluation.scenarios.paired_scenes import MAX_BYTES
from nsrp_ros.evaluation.scenarios.paired_scenes import together
from nsrp_ros.simulation.acoustics.diffuse_field import diffuse_field
from nsrp_ros.simulation.acoustics.room_responses import hear
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.babble import babble_around
from nsrp_ros.simulation.noise import at_ratio
from nsrp_ros.simulation.noise import hum
from nsrp_ros.simulation.noise import mean_power
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.noise import sensor_noise
from nsrp_ros.simulation.realistic_rooms import Draw
from nsrp_ros.simulation.scenes import Scenes
import torch

NOISES = ('white', 'pink', 'hum', 'diffuse')
"""In which somebody talks or nobody: sensors' noise of two colours, machines, pink noise from
everywhere."""
SILENCES = (*NOISES, 'digital')
"""In which nobody talks; 'digital' is all zeros. Thresholds are set on these."""
DOUBTFUL = ('ended', 'voices')
"""Silences with voices in them: a talker who stopped `SINCE_ENDED` before the window, whose room
still rings; and others who talk all around, none of them to be located."""
SNRS = (0, 5, 10, 20, 30)
"""Decibels at which somebody talks."""
SILENT_SNR = 20.0
"""Decibels that noise without a talker is below where the talker would have been."""
HISS_DB = 30.0
"""Decibels that every sensor's white noise is below other noise."""
SINCE_ENDED = 0.1
"""Seconds."""


def quiet_windows(config, n_mics, n_rooms, bank, seed=0):
    """
    Make silent and talking windows of the same rooms.

    Parameters
    ----------
    config : RealConfig
        The rooms; its noise and imperfect devices are left out.
    n_mics, n_rooms : int
        M and B.
    bank : SpeechBank
        What is said.
    seed : int
        Of the rooms; 0 is the frozen test sets'.

    Returns
    -------
    dict of tuple to Scenes
        Under (kind, None) for each of `SILENCES` and `DOUBTFUL`, the silent ones; under
        (kind, SNR in dB) for each of `NOISES` and `SNRS`, the others. NumPy arrays.

    """
    made = {}
    for k in range(n_rooms):
        generator = scene_generator(seed, 'test', k)
        rooms, acoustics, speech = draw_talk(config, n_mics, bank, generator)
        state = generator.get_state()

        def heard(said):
            generator.set_state(state)  # the same room, whatever is said in it
            return hear(config, rooms, said, bank.sample_rate, MAX_BYTES, acoustics, generator)

        clean = heard(speech)
        power = mean_power(clean)
        noises = _noises(rooms.mic_positions, bank, generator)
        for kind, noise in noises.items():
            silent = _loud(noise, power, SILENT_SNR)
            _keep(made, (kind, None), silent, rooms, bank)
            for snr_db in SNRS if kind in NOISES else ():
                _keep(made, (kind, snr_db), clean + _loud(noise, power, snr_db), rooms, bank)
        _keep(made, ('digital', None), torch.zeros_like(clean), rooms, bank)
        n_ended = window_length(bank.sample_rate) + round(SINCE_ENDED * bank.sample_rate)
        ended = torch.cat([speech[:, n_ended:], torch.zeros(1, n_ended)], dim=1)
        _keep(made, ('ended', None), heard(ended) + _loud(noises['white'], power, HISS_DB),
              rooms, bank)
    return {key: together(scenes) for key, scenes in made.items()}


def _keep(made, key, signals, rooms, bank):
    made.setdefault(key, []).append(Scenes(signals, rooms.mic_positions, rooms.source_position,
                                           rooms.dims, bank.sample_rate))


def _loud(noise, power, snr_db):
    """Scale noise (1, M, T) to decibels below the talker's power."""
    return at_ratio(noise, power, torch.tensor([float(snr_db)]))


def _noises(mic_positions, bank, generator):
    """Draw each noise there is for one room's microphones (1, M, 3): (1, M, T)."""
    draw, rate = Draw(generator), bank.sample_rate
    shape = (*mic_positions.shape[:2], window_length(rate))

    def sensors(colour):
        config = NoiseConfig(sensor_colour=(colour, colour), sensor_spread_db=0.0)
        return sensor_noise(config, shape, draw.uniform, draw.normal, rate)

    white, pink = sensors(0.0), sensors(1.0)
    others = {'hum': hum(mic_positions, shape[-1], draw.uniform, draw.normal, rate),
              'diffuse': diffuse_field(sensors(1.0), mic_positions, rate),
              'voices': babble_around(NoiseConfig(), mic_positions, bank, shape[-1], generator)}
    hiss = sensors(0.0)
    return {'white': white, 'pink': pink,
            **{kind: noise + _loud(hiss, mean_power(noise), HISS_DB)
               for kind, noise in others.items()}}
