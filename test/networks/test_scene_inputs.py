"""What the layers of the back-projection network are told besides the signals."""

from nsrp_ros.core.geometry import path_difference
from nsrp_ros.core.surroundings import Surroundings
from nsrp_ros.networks.cell_geometry import distances_from
from nsrp_ros.networks.explained import FoundTalkers
from nsrp_ros.networks.lag_sampling import LagFeatures
from nsrp_ros.networks.mirrors import mirrors_of
from nsrp_ros.networks.scene_inputs import evidence_inputs
from nsrp_ros.networks.scene_inputs import knowledge_inputs
from nsrp_ros.networks.scene_inputs import marks_of
from nsrp_ros.networks.scene_inputs import pairs_of
from nsrp_ros.networks.scene_inputs import Scene
import numpy as np
import pytest
from support.surroundings_tensors import batch
import torch

ROOM = Surroundings.prism([(0, 0), (6, 0), (6, 3), (3, 3), (3, 5), (0, 5)], (0, 2.5))


def test_evidence_is_of_the_first_and_of_the_second_microphone():
    """The first is around the corner from one cell, the second from none; the third is both's."""
    mics = torch.tensor([[(2, 4.5, 1), (1, 1, 1), (4, 1, 1)]], dtype=torch.float32)
    cells = torch.tensor([[(5.5, 2.5, 1), (1, 2, 1)]], dtype=torch.float32)
    room, pairs, distance = batch(ROOM), pairs_of(mics), distances_from(mics, cells)
    features = LagFeatures(torch.zeros(1, 3, 289, 1), torch.zeros(0), mics, 16000)
    difference = path_difference(distance[:, pairs[:, 0]], distance[:, pairs[:, 1]])
    mirrors = mirrors_of(room, mics, cells, distance)
    found = FoundTalkers(cells[:, 1:], torch.tensor([[0.02]]))
    alone, told = (evidence_inputs(Scene(features, room, pairs, torch.zeros(1, 32), marks, None),
                                   mirrors, difference)[0]
                   for marks in (None, marks_of(features, room, found)))
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    # (P, V, 4): of each pair either microphone, hidden from the first cell.
    assert alone[:, 0, :2].tolist() == [[1, 0], [1, 0], [0, 0]]
    assert not alone[:, 1].any() and not alone[..., 2:].any()
    torch.testing.assert_close(told[..., :2], alone[..., :2])
    # All pairs' lags of the second cell are those of the talker who is found there.
    assert float(told[:, 1, 2].min()) > 0.7 > float(told[:, 0, 2].min())


def test_knowledge_is_summed_up():
    """Doubt about walls, floors and ceilings, walls that are missing, and talkers found."""
    rooms = batch(Surroundings.box((6, 5, 3)),
                  Surroundings.box((6, 5, 3), std=[0.05, 0.05, 0, np.inf, 0, np.inf]),
                  Surroundings.open((0, 0, 0), (6, 5, 3)))
    expected = np.array([[0, 0, 0, 0], [1 / 3, 0, 1, 0.25], [1, 1, 1, 1]])
    known = knowledge_inputs(rooms, None)
    np.testing.assert_allclose(known, np.column_stack([expected, np.zeros(3)]), atol=1e-6)
    std = torch.tensor([[0.1, 0.1], [0.2, torch.inf], [torch.inf, torch.inf]])
    found = knowledge_inputs(rooms, FoundTalkers(torch.zeros(3, 2, 3), std))
    assert found[:, 4].tolist() == pytest.approx([2, 1, 0])
