"""
The back-projection network without torch: its parts by ONNX Runtime, what is between by NumPy.

The equations are those of backprojection.py, and of what torch_cpu/network.py leaves out: a look
starts from a look at half as many cells along each side, cells are computed only where the talker
may be, and how pairs see cells is remembered while microphones stand still.

Shapes: M microphones, P pairs, V = Z Y X cells, D and E channels.
"""

from dataclasses import dataclass
import math

from nsrp_ros.core.geometry import Grid
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.core.lag_grid import LAG_STEP
from nsrp_ros.core.lag_grid import STRIDE
from nsrp_ros.core.pair_selection import chosen_pair_indices
from nsrp_ros.localization.backprojection.approximations import CELLS_STEP
from nsrp_ros.localization.backprojection.approximations import Shortcuts
from nsrp_ros.localization.backprojection.coarse_to_fine import locate
from nsrp_ros.localization.backprojection.coarse_to_fine import Look
from nsrp_ros.localization.backprojection.compiled_correlation import compiled_kernels
from nsrp_ros.localization.backprojection.correlation import array_correlator
from nsrp_ros.localization.backprojection.interpolation import neighbours
from nsrp_ros.localization.backprojection.projection import Pairs
from nsrp_ros.localization.backprojection.projection import sight_of
import numpy as np
from scipy.sparse import csr_array

_SHORTCUTS = Shortcuts()
_LAGS_AT_ONCE = 12000  # of some pairs together: what stays in a core's cache
_ROWS_AT_ONCE = 3072  # pairs times cells, for the same reason


@dataclass(frozen=True)
class ArrayHeard:
    """
    What the pairs of one scene have heard.

    Attributes
    ----------
    scene : Pairs
        The pairs.
    direct, echo : numpy.ndarray
        Shapes (P (n + 1), D) and (P (n + 1), E): the lag features of all pairs.

    """

    scene: Pairs
    direct: np.ndarray
    echo: np.ndarray


@dataclass(frozen=True)
class Seen:
    """
    What looks inside an earlier one need of it.

    Attributes
    ----------
    corners : numpy.ndarray
        Shape (2, 3), metres, of the area that was looked at.
    features : numpy.ndarray
        Shape (Z, Y, X, D).

    """

    corners: np.ndarray
    features: np.ndarray


class OnnxBackprojector:
    """
    A network in a .onnx.zip file that locates one window; see `Backprojector`.

    Parameters
    ----------
    network : OnnxNetwork
        Its parts.

    """

    def __init__(self, network):
        self.config = network.config
        self._run = network.run
        self._correlator = array_correlator(
            self.config, self._learned if self.config.learned_weightings else None)
        self._remembered = None  # where all was, and how pairs see cells there

    def estimate(self, signals, mic_positions, room_dims, area=None, shape=None):
        """Locate the talker of one window; arguments and result are those of `looks.locate`."""
        dims = np.asarray(room_dims, np.float32)

        def listen(signals, mics):
            heard = self.hear(np.asarray(signals, np.float32), np.asarray(mics, np.float32))
            return lambda corners, shape, before: self.look(heard, dims, corners, shape, before)
        return locate(listen, self.config, signals, mic_positions, room_dims, area, shape)

    def hear(self, signals, mics):
        """
        Describe the lags of pairs.

        Parameters
        ----------
        signals : numpy.ndarray
            Shape (M, T), float32, at the configuration's sample rate.
        mics : numpy.ndarray
            Shape (M, 3), metres, float32.

        Returns
        -------
        ArrayHeard
            To be looked at with `look`.

        """
        cfg = self.config
        scene = self._scene(mics)
        correlate = self._correlator.listen(signals, scene.n_lags)
        at_once = max(1, _LAGS_AT_ONCE // (2 * scene.n_lags))
        parts = [self._describe(correlate, scene, slice(k, k + at_once))
                 for k in range(0, len(scene.pairs), at_once)]
        direct, echo = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return ArrayHeard(scene, direct.reshape(-1, cfg.map_channels),
                          echo.reshape(-1, cfg.echo_channels))

    def look(self, heard, room_dims, corners, shape, before=None):
        """
        Project what was heard back to the cells of an area.

        Parameters
        ----------
        heard : ArrayHeard
            By `hear`.
        room_dims, corners : numpy.ndarray
            Shapes (3,) and (2, 3), metres.
        shape : tuple of int
            Z, Y and X: how many cells to divide the area into.
        before : Look, optional
            An earlier look at an area that this one is in. Without one, such a look is taken at
            half as many cells along each side.

        Returns
        -------
        Look
            See there.

        """
        if before is None:
            halves = tuple((n + 1) // 2 for n in shape)
            before = self._look(heard, room_dims, corners, halves, None)
        return self._look(heard, room_dims, corners, shape, before)

    def _look(self, heard, room_dims, corners, shape, before):
        """Look at all cells, or at those that an earlier look found likely."""
        z, y, x = shape
        grid = Grid.over_box(corners[0], corners[1], x, y, z)
        points = grid.points().astype(np.float32)  # (Z, Y, X, 3)
        flat = points.reshape(-1, 3)
        cell = (corners[1] - corners[0]) / shape[::-1]
        context = np.append(2 * cell, math.log2(len(heard.scene.mics))).astype(np.float32)
        if before is None:
            features = self._project(heard, self._first_sight(heard.scene, flat, room_dims,
                                                              context))
        else:
            features, likely = _interpolate(before, corners, shape)
            n_likely = np.count_nonzero(likely > _SHORTCUTS.doubt * likely.max())
            n_chosen = min(CELLS_STEP * -(-n_likely // CELLS_STEP), len(likely))
            chosen = np.argpartition(-likely, n_chosen - 1)[:n_chosen]
            features[chosen] = self._project(
                heard, self._sight(heard.scene, flat[chosen], room_dims, context))
        features = features.reshape(*shape, -1)
        place = np.concatenate([points / 5, (room_dims - points) / 5,
                                np.broadcast_to(context, (*shape, 4))], axis=-1)
        log_posterior, presence = self._run('read', pooled=features, place=place)
        # Whether anybody talks is told by all cells alike, interpolated ones would blur it.
        presence = 1 / (1 + math.exp(-presence)) if before is None else before.presence
        return Look(np.exp(log_posterior), presence, Seen(corners, features))

    def _scene(self, mics):
        """Choose pairs, and how many of their lags to look at."""
        cfg = self.config
        pairs = chosen_pair_indices(mics, _SHORTCUTS.partners)
        spacing = np.linalg.norm(mics[pairs[:, 0]] - mics[pairs[:, 1]], axis=1)  # (P,)
        longest = spacing.max() / SPEED_OF_SOUND * cfg.sample_rate
        n_lags = min(LAG_STEP * math.ceil((longest + cfg.lag_margin) / LAG_STEP),
                     cfg.n_fft // 2 - STRIDE)
        return Pairs(mics, pairs, spacing, n_lags, cfg.sample_rate)

    def _learned(self, magnitude):
        return self._run('weightings', magnitude=magnitude)[0]

    def _describe(self, correlate, scene, some):
        """Describe the lags of some pairs: (P', n + 1, D) and (P', n + 1, E)."""
        cfg, pairs, spacing = self.config, scene.pairs[some], scene.spacing[some, None]
        n_kinds = len(cfg.bands) * (len(cfg.weightings) + cfg.learned_weightings)
        n_kinds += cfg.whole_window
        known = np.empty((1, n_kinds + 2, len(pairs), 2 * scene.n_lags + 1), np.float32)
        correlate(pairs, scene.n_lags, known[0, :-2])
        # The network is told which of the lags are possible.
        metres = np.arange(-scene.n_lags, scene.n_lags + 1) * (SPEED_OF_SOUND / scene.sample_rate)
        known[0, -2] = np.clip(metres / spacing, -1.5, 1.5)
        known[0, -1] = spacing / 10
        return self._run('lags', correlations=known)

    def _first_sight(self, scene, points, room_dims, context):
        """Return how pairs see the cells of a first look: mostly remembered."""
        key = [scene.mics, scene.pairs, points, room_dims, context]
        if self._remembered is not None:
            known, seen = self._remembered
            if all(np.array_equal(*both) for both in zip(known, key, strict=True)):
                return seen
        seen = self._sight(scene, points, room_dims, context)
        self._remembered = key, seen
        return seen

    def _sight(self, scene, points, room_dims, context):
        """List, for as many cells at once as a cache holds, how pairs see them, and the gates."""
        at_once = max(1, _ROWS_AT_ONCE // len(scene.pairs))
        seen = []
        for k in range(0, len(points), at_once):
            sight = sight_of(scene, points[k:k + at_once], room_dims)
            seen.append((sight, self._run('gates', views=sight.views, context=context)[0]))
        return seen

    def _project(self, heard, seen):
        """Gather the features of cells from all pairs, gate and pool them: (V, D)."""
        pooled = []
        for sight, gates in seen:
            direct, echoes = sight.gather(heard.direct, heard.echo)
            pooled += self._run('project', direct=direct, echoes=echoes, gates=gates)
        return np.concatenate(pooled)


def _interpolate(look, corners, shape):
    """
    Carry an earlier look over to cells of an area inside its own.

    As torch_cpu/grid_posterior.py does.

    Returns
    -------
    features : numpy.ndarray
        Shape (V, D), interpolated linearly.
    likely : numpy.ndarray
        Shape (V,): the largest probability of the earlier cells that are interpolated.

    """
    seen = look.memory
    cells, shares = neighbours(tuple(seen.corners.flat), look.cells.shape, tuple(corners.flat),
                               shape)
    known = seen.features.reshape(look.cells.size, -1)
    kernels = compiled_kernels('gathering_kernels')
    if kernels is None:
        ends = np.arange(0, cells.size + 1, cells.shape[1], dtype=np.int32)
        features = csr_array((shares.ravel(), cells.ravel(), ends),
                             shape=(len(cells), len(known))) @ known
    else:
        features = np.empty((len(cells), known.shape[1]), np.float32)
        kernels.interpolate(cells, shares, known, features)
    return features, look.cells.ravel().take(cells).max(axis=1)
