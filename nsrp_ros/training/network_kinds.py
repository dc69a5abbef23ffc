"""
What differs between the trained kinds of networks, in one table by the class of their settings.

A run (experiment.py) treats all networks alike: it asks this table how to build one, how to start
it from other weights, which lightning module trains it, and which rooms it is trained on.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import logging
from typing import Any

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import CrnnConfig
from nsrp_ros.core.model_files import find_weights
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.crnn import Crnn
from nsrp_ros.training.backprojection.data_module import FreshWorldsModule
from nsrp_ros.training.backprojection.module import BackprojectionModule
from nsrp_ros.training.backprojection.weight_transfer import transfer_weights
from nsrp_ros.training.config import TrainConfig
from nsrp_ros.training.crnn_module import CrnnModule
from nsrp_ros.training.data_modules import FreshScenesModule

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkKind:
    """
    How networks of one kind are trained.

    Attributes
    ----------
    build : callable
        Makes a network of its settings.
    start : callable
        Takes such a network and names of weights to start from, one or more; returns the network
        that starts from them.
    module : callable
        Makes the lightning module of a network and a TrainConfig.
    fresh_data : type
        The data module of rooms that are simulated during training.
    same_lengths : bool
        Whether all batches have the same lengths, so that choosing the fastest convolutions by
        measuring them pays.

    """

    build: Callable[[Any], Crnn | Backprojection]
    start: Callable[[Any, Sequence[str]], Crnn | Backprojection]
    module: Callable[[Any, TrainConfig], CrnnModule | BackprojectionModule]
    fresh_data: type[FreshScenesModule]
    same_lengths: bool


def _start_crnn(model: Crnn, names: Sequence[str]) -> Crnn:
    """Start from the weights of a network of the same architecture."""
    source, = (load_checkpoint(find_weights(name)) for name in names)
    if (not isinstance(source, Crnn)
            or replace(source.config, confidence=model.config.confidence) != model.config):
        raise ValueError(f'the weights {names[0]!r} are not of the same architecture')
    return source


def _start_backprojection(model: Backprojection, names: Sequence[str]) -> Backprojection:
    """Copy what fits from the weights of several networks."""
    sources = [load_checkpoint(find_weights(name)) for name in names]
    if missing := transfer_weights(model, *sources):
        _LOG.warning('without weights to start from: %s', ', '.join(missing))
    return model


def _crnn_module(model: Crnn, config: TrainConfig) -> CrnnModule:
    return CrnnModule(model, config.target, config.learning_rate, config.compile_encoder)


def _backprojection_module(model: Backprojection, config: TrainConfig) -> BackprojectionModule:
    return BackprojectionModule(model, config.learning_rate)


NETWORK_KINDS: dict[type, NetworkKind] = {
    CrnnConfig: NetworkKind(Crnn, _start_crnn, _crnn_module, FreshScenesModule, True),
    BackprojectionConfig: NetworkKind(Backprojection, _start_backprojection,
                                      _backprojection_module, FreshWorldsModule, False),
}
