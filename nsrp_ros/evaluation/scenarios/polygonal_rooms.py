"""
Polygonal rooms, simulated by pyroomacoustics: the paper's own future work.

A floor plan is a polygon with vertical walls. Early reflections are image sources, of which only
the visible ones count; later ones are traced rays. The reported room dimensions are those of the
bounding box. The box itself is simulated the same way, with the same walls, microphones and
talker.
"""

from collections.abc import Callable

from nsrp_ros.datasets.generate import scene_generator
from nsrp_ros.evaluation.scenarios.paired_scenes import join_scenes
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
from numpy.typing import NDArray
import pyroomacoustics
from scipy.signal import oaconvolve
import torch

SHAPES = ('box', 'slanted', 'l_shape')
MAX_ORDER = 6
"""Most reflections of an image source; beyond, there are rays."""
RESPONSE_SECONDS = 0.75
"""Length of the impulse responses."""
_NOTCH = (0.3, 0.5)  # shares of length and width that the L leaves out
_SLANT = (0.1, 0.25)  # shares of the sides by which slanted walls' corners are moved
_TRIES = 100000
_CENTRES = (*BANDS, 8000.0)  # hertz; the highest band's value also holds above it


def floor_plans(room_dims: NDArray[np.floating],
                uniform: Callable[[int], NDArray[np.float64]],
                ) -> dict[str, NDArray[np.float64]]:
    """
    Draw the corners of a room's floor in all shapes.

    Parameters
    ----------
    room_dims : numpy.ndarray
        Shape (3,), metres: the bounding box.
    uniform : callable
        Draws so many numbers between 0 and 1.

    Returns
    -------
    dict of str to numpy.ndarray
        For each of `SHAPES`, corners (n, 2) in metres, anticlockwise; each plan touches all
        sides of the box.

    """
    length, width = room_dims[:2]
    cut = 1 - (_NOTCH[0] + (_NOTCH[1] - _NOTCH[0]) * uniform(2))
    a, b, c, d = _SLANT[0] + (_SLANT[1] - _SLANT[0]) * uniform(4)
    plans = {'box': [(0, 0), (1, 0), (1, 1), (0, 1)],
             'slanted': [(a, 0), (1, b), (1 - c, 1), (0, 1 - d)],
             'l_shape': [(0, 0), (1, 0), (1, cut[1]), (cut[0], cut[1]), (cut[0], 1), (0, 1)]}
    return {shape: np.array(plans[shape]) * (length, width) for shape in SHAPES}


def points_in_polygon(points: NDArray[np.floating],
                      corners: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which points (n, 2 or more) lie in a polygon, by counting the sides to their right."""
    x, y = points[:, 0, None], points[:, 1, None]
    (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    at = x0 + (y - y0) * (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
    return (crosses & (x < at)).sum(axis=1) % 2 == 1


def simulate_polygonal(shape: str, config: RoomConfig, n_mics: int, n_scenes: int,
                       bank: SpeechBank, seed: int = 0) -> Scenes:
    """
    Simulate scenes in rooms of one shape.

    Parameters
    ----------
    shape : str
        One of `SHAPES`.
    config : RoomConfig
        The bounding boxes and the absorption of their walls; devices are where all shapes have
        room.
    n_mics, n_scenes, bank, seed
        As for `paired_scenes.simulate_scenes`.

    Returns
    -------
    Scenes
        Of NumPy arrays; the same microphones, talkers, speech and walls for each shape.

    """
    made = []
    for k in range(n_scenes):
        generator = scene_generator(seed, 'test', k)
        rooms, plans = _draw(config, n_mics, generator)
        n_window = window_length(bank.sample_rate)
        n_speech = round(RESPONSE_SECONDS * bank.sample_rate) + n_window
        speech = bank.draw(1, n_speech, generator).numpy()
        responses = polygon_responses(
            plans[shape], float(rooms.dims[0, 2]), rooms.absorption[0].numpy(),
            rooms.source_position[0].numpy(), rooms.mic_positions[0].numpy(), bank.sample_rate,
            seed=k)
        received = oaconvolve(speech, responses, axes=-1)[:, n_speech - n_window:n_speech]
        signals = add_sensor_noise(torch.from_numpy(received.astype(np.float32))[None],
                                   config.snr_db, generator)
        made.append(Scenes(signals, rooms.mic_positions, rooms.source_position, rooms.dims,
                           bank.sample_rate))
    return join_scenes(made)


def _draw(config: RoomConfig, n_mics: int,
          generator: torch.Generator) -> tuple[Rooms, dict[str, NDArray[np.float64]]]:
    """Draw a room and its floor plans, all of which contain all devices."""
    for _ in range(_TRIES):
        rooms = draw_rooms(config, n_mics, 1, generator)
        plans = floor_plans(rooms.dims[0].numpy().astype(float), lambda n: torch.rand(
            n, generator=generator).numpy().astype(float))
        devices = torch.cat([rooms.source_position, rooms.mic_positions[0]]).numpy()
        if all(points_in_polygon(devices, corners).all() for corners in plans.values()):
            return rooms, plans
    raise ValueError(f'{n_mics} microphones and a source do not fit into rooms of all shapes')


def polygon_responses(corners: NDArray[np.floating], height: float,
                      absorption: NDArray[np.floating], source_position: NDArray[np.floating],
                      mic_positions: NDArray[np.floating], sample_rate: int,
                      seed: int = 0) -> NDArray[np.float32]:
    """
    Compute the impulse responses in a room with vertical walls.

    Parameters
    ----------
    corners : numpy.ndarray
        Shape (n, 2), metres, anticlockwise.
    height : float
        Metres.
    absorption : numpy.ndarray
        Shape (3, 2, K), coefficients as of a box; all vertical walls have those of its first.
    source_position, mic_positions : numpy.ndarray
        Shapes (3,) and (M, 3), metres.
    sample_rate : int
        Hertz.
    seed : int
        Of the rays' tails.

    Returns
    -------
    numpy.ndarray
        Shape (M, R), float32; unit gain at one metre, time zero when the talker speaks.

    """
    def material(bands: NDArray[np.floating]) -> pyroomacoustics.Material:
        return pyroomacoustics.Material({
            'coeffs': [float(bands[min(k, len(BANDS) - 1)]) for k in range(len(_CENTRES))],
            'center_freqs': list(_CENTRES)})

    # Versions differ in which random generator they use.
    getattr(pyroomacoustics, 'random', np.random).seed(seed)
    pyroomacoustics.constants.set('num_threads', 1)
    room = pyroomacoustics.Room.from_corners(
        corners.T, fs=sample_rate, max_order=MAX_ORDER, materials=material(absorption[0, 0]),
        ray_tracing=True, air_absorption=False)
    room.extrude(height, materials={'floor': material(absorption[2, 0]),
                                    'ceiling': material(absorption[2, 1])})
    room.set_ray_tracing(time_thres=RESPONSE_SECONDS)
    room.add_source(np.asarray(source_position, dtype=float))
    room.add_microphone_array(np.asarray(mic_positions, dtype=float).T)
    room.compute_rir()
    shift = pyroomacoustics.constants.get('frac_delay_length') // 2
    responses = np.zeros((len(room.rir), round(RESPONSE_SECONDS * sample_rate)), dtype=np.float32)
    for row, (response,) in zip(responses, room.rir, strict=True):
        response = response[shift:shift + len(row)]
        row[:len(response)] = response
    return responses
