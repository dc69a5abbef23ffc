r"""
Calibrate a network of `uncertain_walls`: temperatures and presences that hold, by window length.

    python -m nsrp_ros.evaluation.families.calibrate surroundings --rooms 40 --write

On validation rooms of several families, with another voice than in training and tests, it fits
one temperature of the posterior (least cross-entropy of the talker's cell), and a slope and a
bias of the log-odds that somebody talks (logistic regression; in half of the windows nobody does:
silent rooms, rooms that ring on, white noise). --write stores them in the weights.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from itertools import islice

from nsrp_ros.core.config import Calibration
from nsrp_ros.core.estimate import RIGHT_WITHIN
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.any_surroundings import SurroundingsBackprojector
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.cell_geometry import area_points
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.simulation.presets import PRESETS
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.simulator import simulate
from nsrp_ros.simulation.speech.bank import find_speech
from nsrp_ros.simulation.speech.bank import TALKERS
from nsrp_ros.training.backprojection.losses import trilinear_weights
from nsrp_ros.training.backprojection.tasks import middle_part
from nsrp_ros.training.backprojection.tasks import Task
from nsrp_ros.training.backprojection.tasks import told_of
from nsrp_ros.training.backprojection.tasks import whole_task
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.optimize import minimize_scalar
from scipy.special import logit
import torch
from tqdm import tqdm

LENGTHS = (0.1, 0.2, 0.35, 0.5)
"""Seconds; longer windows are taken like the longest of these."""
TALKING = (('told_exact', 4), ('told_exact', 6), ('told_rough', 6), ('told_nothing', 4),
           ('told_nothing', 6), ('polygon', 6), ('ring_exact', 4), ('real', 4), ('real', 6))
"""Presets and numbers of microphones of the rooms in which somebody talks."""
SILENT = (('silent', 4), ('silent', 6), ('told_exact', 6), ('ring_exact', 4))
"""The same of those in which nobody does; in the last two there is white noise alone."""
FURTHER = (('told_exact', 4), ('told_exact', 6), ('ring_exact', 4), ('two_talkers', 4),
           ('two_talkers', 6), ('two_talkers', 8), ('three_talkers', 6))
"""The same of those in which further talkers are looked for."""
_BATCH = 10
_PRIOR = 4.0  # windows that the prior of slope 1 and bias 0 is worth


@dataclass(frozen=True)
class Answers:
    """A network's answers for windows of one length: where somebody talks, and whether."""

    posteriors: list[tuple[torch.Tensor, torch.Tensor]]
    """Log-posteriors (V,), and the talkers' weights (K, V) of the cells."""
    presence: NDArray[np.float64]
    talking: NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.families.calibrate', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('method', help='weights: a name in models/ or a file')
    parser.add_argument('--rooms', type=int, default=40, help='rooms of each family')
    parser.add_argument('--write', action='store_true', help='store the result in the weights')
    options = parser.parse_args(arguments)
    path = find_weights(options.method)
    model = load_checkpoint(path).eval()
    scenes = list(_scenes(options.rooms))
    fitted: list[Calibration] = []
    print('| window | temperature | slope | bias | cross-entropies before, after |')
    print('| --- | --- | --- | --- | --- |')
    for seconds in LENGTHS:
        answers = collect(model, scenes, seconds)
        one = fit(answers, seconds)
        fitted.append(one)
        place, presence = zip(*(surprise(answers, each) for each in (Calibration(seconds), one)),
                              strict=True)
        print(f'| {seconds:g} s | {one.temperature:.2f} | {one.slope:.2f} | {one.bias:+.2f} '
              '| {:.3f}, {:.3f} nats (place); '.format(*place)
              + '{:.3f}, {:.3f} nats (presence) |'.format(*presence), flush=True)
    # Windows of half a second decide about further talkers in all.
    model.config = replace(model.config, calibration=tuple(fitted))
    answers = collect_further(model, options.rooms)
    slope, bias = fit_line(answers)
    fitted = [replace(one, further_slope=slope, further_bias=bias) for one in fitted]
    before, after = (_presence_surprise(answers, *line) for line in ((1.0, 0.0), (slope, bias)))
    print(f'further talkers: slope {slope:.2f}, bias {bias:+.2f}, cross-entropy {before:.3f}, '
          f'{after:.3f} nats over {len(answers.talking)} looks')
    if options.write:
        model.config = replace(model.config, calibration=tuple(fitted))
        save_checkpoint(path, model, options.method)


def _scenes(n_rooms: int) -> Iterator[tuple[Scenes[torch.Tensor], bool]]:
    """Simulate the validation rooms, and tell whether anybody talks in them."""
    bank, _ = find_speech('auto', TALKERS['val'])
    kinds = [(*each, True) for each in TALKING] + [(*each, False) for each in SILENT]
    for number, (preset, n_mics, talks) in enumerate(kinds):
        generator = torch.Generator().manual_seed(1000 + number)
        # As many silent rooms as others, in all.
        count = n_rooms if talks else n_rooms * len(TALKING) // len(SILENT)
        scenes = simulate(PRESETS[preset], n_mics, count, bank, generator)
        if not talks and preset != 'silent':
            noise = torch.randn(scenes.signals.shape, generator=generator)
            scenes = replace(scenes, signals=0.01 * noise)
        yield scenes, talks


@torch.inference_mode()
def collect(model: Backprojection, kinds: Sequence[tuple[Scenes[torch.Tensor], bool]],
            seconds: float) -> Answers:
    """
    Ask the network about the middle of every window.

    Parameters
    ----------
    model : Backprojection
        On the CPU.
    kinds : sequence of tuple
        Scenes, and whether anybody talks in them.
    seconds : float
        Length of the windows.

    Returns
    -------
    Answers
        Of those windows in which it is known whether anybody talks.

    """
    posteriors, presences, talking = [], [], []
    total = sum(len(scenes) for scenes, _ in kinds)
    with tqdm(total=total, unit='window', desc=f'{seconds:g} s') as bar:
        for scenes, talks in kinds:
            for start in range(0, len(scenes), _BATCH):
                whole = whole_task(scenes.take(slice(start, start + _BATCH)))
                if not talks:
                    whole = replace(whole, wanted=torch.zeros_like(whole.wanted))
                task = middle_part(whole, round(seconds * scenes.sample_rate))
                log_posterior, presence = model(
                    task.scenes.signals, task.scenes.mic_positions, task.surroundings, task.area,
                    model.config.shape)
                counts = task.counts.bool().numpy()
                presences.append(presence.double().numpy()[counts])
                anybody = task.wanted.any(dim=1).numpy()
                talking.append(anybody[counts])
                posteriors += [one for one, count in zip(
                    _with_truth(task, log_posterior), counts & anybody, strict=True) if count]
                bar.update(len(counts))
    return Answers(posteriors, np.concatenate(presences), np.concatenate(talking))


def _with_truth(task: Task, log_posterior: torch.Tensor
                ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pair each scene's log-posterior with how its talkers are shared among the cells."""
    shape = (log_posterior.shape[1], log_posterior.shape[2], log_posterior.shape[3])
    points = area_points(task.area, shape)
    truth = torch.stack([trilinear_weights(points, place).flatten(1)
                         for place in task.talkers.unbind(dim=1)], dim=1)  # (B, K, V)
    for k, each in enumerate(log_posterior.flatten(1)):
        yield each, truth[k, task.wanted[k]]


@torch.inference_mode()
def collect_further(model: Backprojection, n_rooms: int) -> Answers:
    """
    Ask the network for further talkers where one, two or three talk.

    Parameters
    ----------
    model : Backprojection
        On the CPU.
    n_rooms : int
        Rooms of each family.

    Returns
    -------
    Answers
        Without posteriors; whether anybody is left whom the looks before had not found.

    """
    finder = SurroundingsBackprojector(model)
    bank, _ = find_speech('auto', TALKERS['val'])
    odds, left = [], []
    for number, (preset, n_mics) in enumerate(tqdm(FURTHER, desc='further talkers')):
        scenes = simulate(PRESETS[preset], n_mics, n_rooms, bank,
                          torch.Generator().manual_seed(2000 + number))
        told = told_of(scenes)
        for k in range(len(scenes)):
            looks = finder.looks(scenes.signals[k].numpy(),
                                 scenes.mic_positions[k].double().numpy(), told.one(k))
            rest = scenes.all_talkers[k, scenes.talking_mask[k], :2].numpy()
            for rank, seen in enumerate(islice(looks, 3)):
                estimate = seen.estimate
                if rank:
                    odds.append(logit(np.clip(estimate.presence or 0.0, 1e-9, 1 - 1e-9)))
                    left.append(len(rest) > 0)
                rest = rest[np.linalg.norm(rest - estimate.position, axis=1) > RIGHT_WITHIN]
    return Answers([], np.array(odds), np.array(left))


def fit(answers: Answers, seconds: float) -> Calibration:
    """Fit the temperature, and the line of log-odds, that surprise least."""
    temperature = minimize_scalar(lambda log: _place_surprise(answers, float(np.exp(log))),
                                  bounds=(-1.0, 1.5), method='bounded').x
    return Calibration(seconds, float(np.exp(temperature)), *fit_line(answers))


def fit_line(answers: Answers) -> tuple[float, float]:
    """Fit the slope and the bias of log-odds that surprise least."""
    # Where no window is mistaken, any slope would do: a weak prior keeps it finite.
    prior = _PRIOR / len(answers.talking)
    line = minimize(lambda of: prior * float(of @ of) + _presence_surprise(
        answers, float(np.exp(of[0])), float(of[1])), (0.0, 0.0), method='Nelder-Mead').x
    return float(np.exp(line[0])), float(line[1])


def surprise(answers: Answers, one: Calibration) -> tuple[float, float]:
    """Return the cross-entropies, in nats, of the talkers' cells and of whether anybody talks."""
    return (_place_surprise(answers, one.temperature),
            _presence_surprise(answers, one.slope, one.bias))


def _place_surprise(answers: Answers, temperature: float) -> float:
    """Return the mean cross-entropy of the talkers' cells."""
    costs = [-(truth * (log_posterior / temperature).log_softmax(dim=0)).sum(dim=1).max()
             for log_posterior, truth in answers.posteriors]
    return float(torch.stack(costs).mean())


def _presence_surprise(answers: Answers, slope: float, bias: float) -> float:
    odds = slope * answers.presence + bias
    costs = np.logaddexp(0, np.where(answers.talking, -odds, odds))
    # Both kinds count alike, however many windows of each are left.
    return float((costs[answers.talking].mean() + costs[~answers.talking].mean()) / 2)


if __name__ == '__main__':
    main()
