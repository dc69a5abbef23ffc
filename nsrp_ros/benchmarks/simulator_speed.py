"""
Measure the rooms per second of the simulators on this machine.

    python -m nsrp_ros.benchmarks.simulator_speed --device cuda --rooms 16384
"""

import argparse
from collections.abc import Sequence
import platform
import time

from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.simulator import draw_scenes
from nsrp_ros.simulation.simulator import SceneConfig
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import SpeechBank
from nsrp_ros.simulation.speech.debian_prompts import SpeechError
import numpy as np
import torch
from tqdm import tqdm


def rate_of_torch(config: SceneConfig, n_mics: int, bank: SpeechBank,
                  device: str | torch.device, n_rooms: int, batch: int,
                  max_bytes: int) -> float:
    """Return rooms a second through `simulation.simulate`, speech and noise included."""
    generator = torch.Generator(device).manual_seed(0)

    def wait() -> None:
        if torch.device(device).type == 'cuda':
            torch.cuda.synchronize(device)

    simulate(config, n_mics, batch, bank, generator, device, max_bytes)  # warm up
    wait()
    start = time.perf_counter()
    for _ in tqdm(range(-(-n_rooms // batch)), desc=f'torch, {n_mics} microphones'):
        simulate(config, n_mics, batch, bank, generator, device, max_bytes)
        wait()
    return -(-n_rooms // batch) * batch / (time.perf_counter() - start)


def rate_of_pyroomacoustics(config: RoomConfig, n_mics: int, bank: SpeechBank,
                            n_rooms: int) -> float:
    """Return rooms a second through `pyroomacoustics_reference`, in one process."""
    from nsrp_ros.simulation.acoustics import pyroomacoustics_reference
    render = pyroomacoustics_reference.render_microphones_reference
    generator = torch.Generator().manual_seed(0)
    render(config, *draw_scenes(config, n_mics, 1, bank, generator), bank.sample_rate)
    start = time.perf_counter()
    for _ in tqdm(range(n_rooms), desc=f'pyroomacoustics, {n_mics} microphones'):
        render(config, *draw_scenes(config, n_mics, 1, bank, generator), bank.sample_rate)
    return n_rooms / (time.perf_counter() - start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description='Measure how fast rooms are simulated.')
    add = parser.add_argument
    add('--preset', choices=sorted(PRESETS), default='reverb_sim')
    add('--mics', type=int, nargs='+', default=[4, 6])
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--rooms', type=int, help='rooms for torch (64 on a CPU, else 16384)')
    add('--batch', type=int, help='rooms in one call (16 on a CPU, else 1024)')
    add('--max-gib', type=float, default=2.0, help='memory for the simulation (2 GiB)')
    add('--reference-rooms', type=int, default=16, help='rooms for pyroomacoustics (16)')
    options = parser.parse_args(arguments)
    on_cpu = torch.device(options.device).type == 'cpu'
    try:
        bank = SpeechBank.load()
    except SpeechError:  # the speech does not change how long it takes
        bank = SpeechBank.synthetic(np.random.default_rng(0))
    config = PRESETS[options.preset]
    name = platform.processor() or 'CPU'
    if not on_cpu:
        name = torch.cuda.get_device_name(options.device)
    print(f'{options.preset}, order {config.max_order}, torch on {name} with '
          f'{torch.get_num_threads()} CPU threads')
    for n_mics in options.mics:
        ours = rate_of_torch(config, n_mics, bank, options.device,
                             options.rooms or (64 if on_cpu else 16384),
                             options.batch or (16 if on_cpu else 1024),
                             int(options.max_gib * 2 ** 30))
        line = f'{n_mics} microphones: {ours:.1f} rooms/s'
        if not isinstance(config, RoomConfig):
            print(line)  # pyroomacoustics simulates ideal rooms only
            continue
        try:
            theirs = rate_of_pyroomacoustics(config, n_mics, bank, options.reference_rooms)
            line += f', pyroomacoustics {theirs:.1f} rooms/s, {ours / theirs:.1f} times'
        except ImportError:
            line += ', pyroomacoustics is not installed here'
        print(line)


if __name__ == '__main__':
    main()
