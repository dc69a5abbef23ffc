"""
Write a trained back-projection network for ONNX Runtime, so that a robot needs no torch.

    python -m nsrp_ros.training.export_onnx backprojection

writes models/backprojection.onnx.zip, which is the method `backprojection.onnx`. Needs
the packages `onnx` (to write) and, where the file is used, `onnxruntime`.

Shapes: M microphones, P pairs, L lags, F bins, N frames, V = Z Y X cells, D and E channels.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import io
from pathlib import Path
from typing import Any
from typing import cast
import warnings

from nsrp_ros.core.model_files import find_weights
from nsrp_ros.localization.backprojection.onnx_session import save_graphs
from nsrp_ros.networks.backprojection import Backprojection
from nsrp_ros.networks.checkpoint import load_checkpoint
from nsrp_ros.networks.correlation import LearnedWeightings
import torch
from torch import nn

OPSET = 17
"""ONNX Runtime reads it from version 1.13 on."""


class Weightings(nn.Module):
    """Learned weights of frames and bins: magnitudes (1, M, F, N) to (M, W, F, N)."""

    def __init__(self, model: Backprojection) -> None:
        super().__init__()
        self.weightings = cast(LearnedWeightings, model.weightings)

    def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Apply the layers; see the class."""
        return torch.stack([w[0] for w in self.weightings(magnitude)], dim=1)


class Lags(nn.Module):
    """
    Features of lags: correlations (1, K + 2, P, L) to direct (P, L / 2, D) and echo (P, L / 2, E).

    Convolutions along lags become two-dimensional ones with a row for each pair, which ONNX
    Runtime computes in blocks of channels, unlike one-dimensional ones.
    """

    def __init__(self, model: Backprojection) -> None:
        super().__init__()
        lags, cfg = model.lags, model.config
        self.sizes = cfg.map_channels, cfg.echo_channels
        self.first, self.last = _flat(lags.first), _flat(lags.last)
        self.blocks = nn.ModuleList(nn.Sequential(*map(_flat, cast(nn.Sequential, block)))
                                    for block in lags.blocks)

    def forward(self, correlations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Apply the layers; see the class."""
        features = self.first(correlations)
        for block in self.blocks:
            features = features + block(features)
        direct, echo = self.last(features)[0].permute(1, 2, 0).split(self.sizes, dim=2)
        return direct, echo


def _flat(layer: nn.Module) -> nn.Module:
    """Return a Conv1d as a Conv2d of one row, any other layer unchanged."""
    if not isinstance(layer, nn.Conv1d):
        return layer
    padding = layer.padding[0]
    assert not isinstance(padding, str) and layer.bias is not None
    flat = nn.Conv2d(layer.in_channels, layer.out_channels, (1, layer.kernel_size[0]),
                     (1, layer.stride[0]), (0, padding), (1, layer.dilation[0]))
    assert flat.bias is not None
    flat.weight.data, flat.bias.data = layer.weight.data[:, :, None], layer.bias.data
    return flat


class Gates(nn.Module):
    """Scales and shifts of features: pair geometry (V, P, 6) to (V, P, 2 D)."""

    def __init__(self, model: Backprojection) -> None:
        super().__init__()
        self.view, self.scene, self.gate = model.view, model.scene, model.gate
        self.ones = torch.arange(2 * model.config.map_channels) < model.config.map_channels

    def forward(self, pair_geometry: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Apply the layers, given the scene's context (4,); one plus the scale comes first."""
        return self.gate(self.view(pair_geometry) + self.scene(context)) + self.ones.float()


class Project(nn.Module):
    """Gate and pool features of pairs: direct (V, P, D), echoes (V, P, 3 E), gates to (V, D)."""

    def __init__(self, model: Backprojection) -> None:
        super().__init__()
        self.echoes, self.activation = cast(nn.Linear, model.echoes), model.activation
        self.attend, self.mix = cast(nn.Linear, model.pool.attend), model.pool.mix

    def forward(self, direct: torch.Tensor, echoes: torch.Tensor,
                gates: torch.Tensor) -> torch.Tensor:
        """Apply the layers, PairPooling's among them, with cells before pairs."""
        scale, shift = gates.chunk(2, dim=2)
        features = self.activation((direct + self.echoes(echoes)) * scale + shift)
        weights = self.attend(features).softmax(dim=1)  # (V, P, H)
        split = features.unflatten(2, (self.attend.out_features, -1))  # (V, P, H, D / H)
        own = (weights[..., None] * split).sum(dim=1).flatten(1)
        return self.mix(torch.cat([features.mean(dim=1), own], dim=1))


class Read(nn.Module):
    """The posterior from pooled features, as `Backprojection.read_posterior` does for a batch."""

    def __init__(self, model: Backprojection) -> None:
        super().__init__()
        self.place, self.point, self.point_score = model.place, model.point, model.point_score
        self.floor, self.presence = model.floor, model.presence

    def forward(self, pooled: torch.Tensor,
                place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (Z, Y, X, D) and places (Z, Y, X, 10) to (Z, Y, X) and log-odds of presence."""
        pooled = self.point(pooled + self.place(place))
        score = self.point_score(pooled)[..., 0]
        floor = (score.softmax(dim=0)[..., None] * pooled).sum(dim=0)  # (Y, X, D)
        floor, floor_score = self.floor(floor.permute(2, 0, 1)[None])
        score = score + floor_score
        log_posterior = score - score.flatten().logsumexp(dim=0)
        likely = log_posterior.exp().sum(dim=0)  # (Y, X)
        summary = torch.cat([(likely * floor).sum(dim=(2, 3)), floor.mean(dim=(2, 3))], dim=1)
        return log_posterior, self.presence(summary)[0, 0]


def export(model: Backprojection) -> dict[str, bytes]:
    """
    Make the graphs of a network.

    Parameters
    ----------
    model : Backprojection
        Trained.

    Returns
    -------
    dict of str to bytes
        ONNX graphs by `onnx_session.PARTS`.

    Raises
    ------
    ValueError
        If the network has no reflections or no attention heads: such ones were for comparison.

    """
    cfg = model.config
    if not cfg.echo_channels or not cfg.heads:
        raise ValueError('only networks with echoes and attention heads are exported')
    model = model.eval().requires_grad_(False)
    d, e, n_bins = cfg.map_channels, cfg.echo_channels, cfg.n_fft // 2 + 1
    n_inputs = model.lags.first.in_channels
    graphs = {}
    if cfg.learned_weightings:
        graphs['weightings'] = _graph(Weightings(model), {
            'magnitude': (torch.rand(1, 3, n_bins, 9), (1, 3))}, ['weights'])
    graphs['lags'] = _graph(Lags(model), {
        'correlations': (torch.randn(1, n_inputs, 3, 129), (2, 3))}, ['direct', 'echo'])
    graphs['gates'] = _graph(Gates(model), {
        'views': (torch.rand(7, 3, 6), (0, 1)), 'context': (torch.rand(4), ())}, ['gates'])
    graphs['project'] = _graph(Project(model), {
        'direct': (torch.randn(7, 3, d), (0, 1)), 'echoes': (torch.randn(7, 3, 3 * e), (0, 1)),
        'gates': (torch.randn(7, 3, 2 * d), (0, 1))}, ['pooled'])
    graphs['read'] = _graph(Read(model), {
        'pooled': (torch.randn(4, 5, 3, d), (0, 1, 2)),
        'place': (torch.rand(4, 5, 3, 10), (0, 1, 2))}, ['log_posterior', 'presence'])
    return graphs


def _graph(module: nn.Module, inputs: dict[str, tuple[torch.Tensor, tuple[int, ...]]],
           outputs: list[str]) -> bytes:
    """Trace a module with named inputs: a tensor, and its axes of variable size."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The other exporter needs two more packages and gains nothing for graphs this simple.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            module, tuple(tensor for tensor, _ in inputs.values()),
            cast(Any, buffer),  # a file object, which its annotation lacks
            dynamo=False,
            input_names=list(inputs), output_names=outputs, opset_version=OPSET,
            dynamic_axes={name: {axis: f'{name}_{axis}' for axis in axes}
                          for name, (_, axes) in inputs.items()})
    return buffer.getvalue()


def main(args: Sequence[str] | None = None) -> None:
    """Export a network by its name or path."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().partition('\n')[0])
    parser.add_argument('method', help='a back-projection network in models/, or a .safetensors')
    parser.add_argument('output', nargs='?', help='a .onnx.zip; beside the weights if left out')
    options = parser.parse_args(args)
    path = find_weights(options.method)
    output = Path(options.output or path.with_suffix('.onnx.zip'))
    if not output.name.endswith('.onnx.zip'):
        parser.error('the output must end in .onnx.zip')
    model = load_checkpoint(path)
    if not isinstance(model, Backprojection):
        parser.error(f'{path} is not a back-projection network')
    save_graphs(output, asdict(model.config), export(model))
    print(f'{output}: {output.stat().st_size / 1e6:.2f} MB')


if __name__ == '__main__':
    main()
