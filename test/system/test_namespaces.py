"""Localizers side by side: each receives the audio of its own namespace only."""

from collections.abc import Iterator
from pathlib import Path

from nsrp_ros.core.stamps import NS
from nsrp_ros.core.stamps import stamp_to_ns
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
import pytest
from support.anechoic import Anechoic
from support.localizer_rig import LocalizerRig

OFFSET = np.array([20.0, -7.0])


class Room:
    """One of two rooms: its rig, its place in the map, and where its talker is."""

    def __init__(self, folder: Path, name: str, domain: int, origin: NDArray[np.float64],
                 mirrored: bool) -> None:
        folder.mkdir()
        self.rig = LocalizerRig(domain, folder, f'/{name}')
        self.name, self.origin, self.mirrored = name, origin, mirrored
        self.frames: list[str] = []

    def start(self, scene: Anechoic) -> None:
        """Start its localizer, with frames of the room's own."""
        self.frames = [f'{self.name}_mic_{k}' for k in range(len(scene.mic_positions))]
        dims = ', '.join(str(d) for d in scene.room_dims)
        self.rig.start('localizer_node', remap=[f'__ns:=/{self.name}'], method='srp_phat',
                       room_dims=f'[{dims}]', room_origin=f'[{self.origin[0]}, '
                       f'{self.origin[1]}, 0.0]', queue_size=20,
                       microphone_frames=f'[{", ".join(self.frames)}]')

    def place(self, scene: Anechoic, positions: ArrayLike) -> NDArray[np.float64]:
        """Return positions of the scene in this room, which may be its mirror image."""
        placed = np.array(positions, dtype=float)
        if self.mirrored:
            placed[..., 0] = scene.room_dims[0] - placed[..., 0]
        placed[..., :2] += self.origin
        return placed

    def poses(self) -> NDArray[np.float64]:
        """Return where its poses are, (n, 2), from the map's corner."""
        return np.array([(m.pose.position.x, m.pose.position.y) for m in self.rig.received.poses])


@pytest.fixture
def rooms(tmp_path: Path, anechoic: Anechoic) -> Iterator[list[Room]]:
    """Start two localizers in one DDS domain, in namespaces and rooms of their own."""
    rooms = [Room(tmp_path / 'a', 'a', 74, np.zeros(2), False),
             Room(tmp_path / 'b', 'b', 74, OFFSET, True)]
    for room in rooms:
        room.start(anechoic)
    for room in rooms:
        room.rig.wait_for_localizer()
    yield rooms
    assert [room.rig.close() for room in rooms] == [[0], [0]]


def test_two_localizers_do_not_mix(rooms: list[Room], anechoic: Anechoic) -> None:
    """Both work at once, under names of their own; then one is silent, and stays so."""
    a, b = rooms
    names = {(ns, name) for name, ns in a.rig.node.get_node_names_and_namespaces()}
    assert {('/a', 'localizer'), ('/b', 'localizer')} <= names
    topics = {name for name, _ in a.rig.node.get_topic_names_and_types()}
    ours = {f'/{ns}/{topic}' for ns in 'ab' for topic in (
        'audio', 'source_pose', 'source_pose_with_covariance', 'likelihood')}
    assert ours <= topics and not topics & {'/audio', '/source_pose', '/likelihood'}

    b.rig.now_ns += 1000 * NS  # their clocks need not agree
    for room in rooms:
        room.rig.publish_info()
        room.rig.publish_frames(room.place(anechoic, anechoic.mic_positions), room.frames)
    signals = anechoic.signals(2.0)
    for first in range(0, signals.shape[1], 4000):
        for room in rooms:
            room.rig.play(signals[:, first:first + 4000])
    for room in rooms:
        room.rig.settled()
        assert len(room.rig.received.poses) >= 3
    for room, other in (rooms, rooms[::-1]):
        truth = room.place(anechoic, anechoic.source_position)[:2]
        assert np.linalg.norm(room.poses() - truth, axis=1).max() < 0.3
        assert np.linalg.norm(room.poses() - other.place(
            anechoic, anechoic.source_position)[:2], axis=1).min() > 1.0
        times = [stamp_to_ns(m.header.stamp) for m in room.rig.received.poses]
        assert all(room.rig.now_ns - 3 * NS < t <= room.rig.now_ns for t in times)
    before = len(b.rig.received.poses)
    a.rig.play(signals)
    a.rig.settled()
    b.rig.settled()
    assert len(b.rig.received.poses) == before

    assert a.rig.set_parameters('localizer', min_confidence=0.9).successful
    assert not b.rig.set_parameters('localizer', min_confidence=1.9).successful
    named = {'/a/localizer: localization', '/b/localizer: localization'}
    assert a.rig.spin_until(lambda: {s.name for s in a.rig.status} >= named)
