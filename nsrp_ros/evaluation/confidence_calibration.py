"""
Calibrate confidences: fit their models on validation rooms.

    python -m nsrp_ros.evaluation.confidence_calibration srp_phat_2d srp_phat neural_srp

An estimate's confidence is the probability that it is within 0.5 m of the talker, a logistic model
of the prominence of the map's peak and of the number of microphones (config.Confidence). It is
fitted by maximum likelihood, and tested on the half of the rooms that it was not fitted to.
A network's model is written into its checkpoint; those of the classical methods are printed, and
stand in localization/localizer.py.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.estimate import RIGHT_WITHIN
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.datasets.storage import load
from nsrp_ros.evaluation.method_scores import score
from nsrp_ros.evaluation.metrics import expected_calibration_error
from nsrp_ros.evaluation.metrics import reliability
from nsrp_ros.evaluation.plots import reliability_figure
from nsrp_ros.localization.localizer import Localizer
from nsrp_ros.localization.methods import registered
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.training.curves import save_figure
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from tqdm import tqdm

PENALTY = 1e-6
"""Weight of the squared coefficients: keeps them finite where every estimate is right."""


def fit_confidence(prominences: NDArray[np.floating], n_mics: NDArray[np.number],
                   right: NDArray[np.bool_]) -> Confidence:
    """
    Fit the logistic model of config.Confidence by maximum likelihood.

    Parameters
    ----------
    prominences : numpy.ndarray
        Shape (n,), above 0: each map's peak prominence.
    n_mics : numpy.ndarray
        Shape (n,), microphones of each scene.
    right : numpy.ndarray
        Shape (n,), boolean: whether each estimate is within 0.5 m.

    Returns
    -------
    Confidence
        The model; its `mics` is 0 where all scenes have the same number.

    """
    features = np.stack([np.ones(len(right)), np.log(prominences), np.log(n_mics)], axis=1)
    if np.ptp(n_mics) == 0:
        features[:, 2] = 0
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the negative log-likelihood and its gradient."""
        margin = sign * (features @ weights)
        gradient = -(sign * expit(-margin)) @ features / len(sign) + 2 * PENALTY * weights
        return np.logaddexp(0, -margin).mean() + PENALTY * weights @ weights, gradient

    bias, prominence, mics = minimize(loss, np.zeros(3), jac=True).x
    return Confidence(round(float(bias), 4), round(float(prominence), 4), round(float(mics), 4))


def predict(model: Confidence, prominences: NDArray[np.floating],
            n_mics: NDArray[np.number]) -> NDArray[np.float64]:
    """Evaluate the model on arrays, as estimate.confidence does on one map."""
    return expit(model.bias + model.prominence * np.log(prominences)
                 + model.mics * np.log(n_mics))


def calibrate(method: str, sets: Sequence[Path], cache: Path | None,
              n_mics_list: Sequence[int], limit: int | None = None,
              ) -> tuple[Confidence, list[tuple[float, float, int]], float]:
    """
    Fit one method's confidence.

    Parameters
    ----------
    method : str
        What `Localizer.load` takes.
    sets : list of pathlib.Path
        Folders of validation sets.
    cache : pathlib.Path or None
        See `method_scores.score`.
    n_mics_list : list of int
        Numbers of first microphones with which each scene is located.
    limit : int, optional
        Scenes of each set.

    Returns
    -------
    tuple of Confidence, list and float
        The model, fitted to all; the reliability table of models that were fitted to the other
        half of the scenes; and the expected calibration error of that table.

    """
    columns = []
    for folder in sets:
        manifest = json.loads((folder / 'manifest.json').read_text())
        if manifest['split'] != 'val':
            raise ValueError(f'{folder} is a {manifest["split"]} set; confidences are fitted on '
                             'validation sets only')
        for n_mics in n_mics_list:
            scenes = load(folder, n_mics)
            scores = score(method, scenes, manifest['sha256'], cache, limit)
            fold = np.arange(len(scores.positions)) % 2  # equal for all variants of a room
            right = scores.errors(scenes.source_position) < RIGHT_WITHIN
            columns.append(np.stack([
                np.maximum(scores.prominences, 1e-2), np.full(len(fold), n_mics), right, fold]))
    prominences, n_mics, right, fold = np.concatenate(columns, axis=1)
    right = right > 0
    held_out = np.empty(len(right))
    for k in (0, 1):
        known, unknown = fold != k, fold == k
        model = fit_confidence(prominences[known], n_mics[known], right[known])
        held_out[unknown] = predict(model, prominences[unknown], n_mics[unknown])
    table = reliability(held_out, right)
    return (fit_confidence(prominences, n_mics, right), table,
            expected_calibration_error(table))


def posterior_reliability(method: str, sets: Sequence[Path], n_mics_list: Sequence[int],
                          limit: int | None = None,
                          ) -> tuple[list[tuple[float, float, int]], float]:
    """
    Measure the reliability of a method whose confidence comes from its posterior, unfitted.

    Parameters
    ----------
    method, sets, n_mics_list, limit
        As in `calibrate`.

    Returns
    -------
    tuple of list and float
        The reliability table and its expected calibration error.

    """
    localizer = Localizer.load(method)
    confidences: list[float] = []
    right: list[bool] = []
    for folder in sets:
        for n_mics in n_mics_list:
            scenes = load(folder, n_mics)
            for k in tqdm(range(min(len(scenes), limit or len(scenes))), unit='room',
                          desc=f'{method}, {n_mics} microphones'):
                estimate = localizer.locate(
                    np.array(scenes.signals[k]), scenes.sample_rate,
                    np.array(scenes.mic_positions[k]), np.array(scenes.room_dims[k]))
                offset = estimate.position - np.asarray(scenes.source_position[k])[:2]
                confidences.append(estimate.confidence)
                right.append(bool(np.linalg.norm(offset) < RIGHT_WITHIN))
    table = reliability(np.array(confidences), np.array(right))
    return table, expected_calibration_error(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.evaluation.confidence_calibration', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('methods', nargs='+', help='srp_phat, srp_phat_2d, networks in models/, or files')
    add('--data', type=Path, default=Path('data'), help='folder of the data sets (data)')
    add('--sets', nargs='+', default=['hard-6-val', 'easy-6-val'],
        help='validation sets (default: %(default)s)')
    add('--mics', type=int, nargs='+', default=[4, 5, 6],
        help='numbers of microphones (default: %(default)s); CRNN4 and CRNN6 have their own')
    add('--limit', type=int, help='rooms of each set')
    add('--out', type=Path, default=Path('runs/calibrate'), help='folder of cache and picture')
    options = parser.parse_args(arguments)
    sets = [options.data / name for name in options.sets]
    missing = [folder for folder in sets if not (folder / 'manifest.json').is_file()]
    if missing:
        preset = missing[0].name.split('-')[0]
        parser.error(f'there is no validation set {missing[0]}; make it: python -m '
                     f'nsrp_ros.datasets.generate {preset} --split val --out {options.data}')
    tables = {}
    for method in options.methods:
        network = None if method in registered() else load_checkpoint(find_weights(method))
        mics = options.mics
        if network is not None and network.config.n_channels > 2:
            mics = [network.config.n_channels]
        fitted: Confidence | None = None
        if isinstance(network, Backprojection):
            table, error = posterior_reliability(method, sets, mics, options.limit)
        else:
            fitted, table, error = calibrate(method, sets, options.out / 'cache', mics,
                                             options.limit)
        tables[method] = table
        print(f'\n{method}: {fitted or "has a posterior, nothing is fitted"}\n'
              f'expected calibration error {error:.3f} on rooms left out of the fit\n'
              f'{"confidence":>12}{"within 0.5 m":>14}{"estimates":>11}')
        for mean, share, count in table:
            print(f'{mean:12.3f}{share:14.3f}{count:11d}')
        if network is not None and fitted is not None:
            network.config = replace(network.config, confidence=fitted)
            save_checkpoint(find_weights(method), network, Path(method).stem)
    save_figure(reliability_figure(tables), options.out / 'reliability.png')


if __name__ == '__main__':
    main()
