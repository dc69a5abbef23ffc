"""Confidences are probabilities, fitted on validation rooms only."""

from nsrp_ros.core.config import Confidence
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.estimate import confidence
from nsrp_ros.core.estimate import peak_prominence
from nsrp_ros.datasets import generate
from nsrp_ros.evaluation.confidence_calibration import calibrate
from nsrp_ros.evaluation.confidence_calibration import fit_confidence
from nsrp_ros.evaluation.confidence_calibration import main
from nsrp_ros.evaluation.confidence_calibration import predict
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.checkpoint import save_checkpoint
from nsrp_ros.networks.crnn import Crnn
import numpy as np
import pytest
import torch


def test_a_known_model_is_found_again():
    """A fit to outcomes drawn from a model recovers it."""
    rng = np.random.default_rng(3)
    truth = Confidence(-4.0, 2.0, 1.0)
    prominences, n_mics = rng.uniform(1, 8, 40000), rng.choice([4, 5, 6], 40000)
    right = rng.uniform(size=40000) < predict(truth, prominences, n_mics)
    model = fit_confidence(prominences, n_mics, right)
    np.testing.assert_allclose(predict(model, prominences, n_mics),
                               predict(truth, prominences, n_mics), atol=0.03)
    assert model.prominence == pytest.approx(2.0, abs=0.1)


def test_the_fit_is_the_localizer_s_own_formula():
    """The fitted model is evaluated as in Estimate.confidence."""
    model = Confidence(-2.0, 1.5, 0.3)
    likelihood_map = np.random.default_rng(0).standard_normal((25, 25))
    predicted = predict(model, np.array([peak_prominence(likelihood_map)]), np.array([5]))
    assert confidence(model, likelihood_map, 5) == pytest.approx(float(predicted[0]))


def test_the_fit_is_finite_with_one_number_of_microphones_and_no_errors():
    """As of CRNN4, which has four microphones only, in ten rooms without errors."""
    model = fit_confidence(np.linspace(1, 3, 10), np.full(10, 4), np.full(10, True))
    assert model.mics == 0 and np.isfinite([model.bias, model.prominence]).all()
    assert predict(model, np.array([2.0]), np.array([4]))[0] > 0.9


def test_a_network_is_calibrated_in_its_checkpoint(tmp_path, capsys):
    """The command prints a table and writes the model beside the same weights."""
    torch.manual_seed(0)
    weights = tmp_path / 'small.safetensors'
    network = Crnn(CrnnConfig(conv_channels=4, n_blocks=2, gru_units=8, mlp_units=16))
    save_checkpoint(weights, network, 'small')
    generate.make('anechoic_sim', 4, 'val', tmp_path, 6, simulator='torch', speech='synthetic')
    main([str(weights), '--data', str(tmp_path), '--sets', 'anechoic_sim-4-val', '--mics', '3',
          '4', '--out', str(tmp_path / 'out')])
    assert 'expected calibration error' in capsys.readouterr().out
    calibrated = load_checkpoint(weights)
    assert calibrated.config.confidence != Confidence()
    for name, value in network.state_dict().items():
        assert torch.equal(calibrated.state_dict()[name], value)
    assert (tmp_path / 'out/reliability.png').is_file()


def test_test_sets_are_refused(tmp_path):
    """Confidences are not fitted to test sets."""
    made = generate.make('anechoic_sim', 2, 'test', tmp_path, 2, simulator='torch',
                         speech='synthetic')
    with pytest.raises(ValueError, match='validation sets only'):
        calibrate('srp_phat_2d', [made], None, [2])
