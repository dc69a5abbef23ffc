"""Nodes as child processes: failures are reported with their logs, and no process is left."""

from nsrp_ros.apps.node_process import check_alive
from nsrp_ros.apps.node_process import node_process
from nsrp_ros.apps.node_process import ProcessEnded
from nsrp_ros.apps.node_process import wait_until
import pytest


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    """Keep the processes in a DDS domain of their own."""
    monkeypatch.setenv('ROS_DOMAIN_ID', '76')


def test_a_node_that_cannot_start_is_reported(tmp_path):
    """The error has the last lines of its log, and is raised as soon as the node has ended."""
    with node_process('audio_player_node', 'player', tmp_path, ['-p', 'rate:=2.0']) as process:
        with pytest.raises(ProcessEnded, match='player ended with 1(.|\n)*must name an audio'):
            wait_until(lambda: False, [process], lambda: None, 30, 'nothing')
        assert process.poll() == 1


def test_a_node_ends_with_its_context(tmp_path):
    """It is alive until then; a timeout names the condition."""
    with node_process('follower_node', 'follow', tmp_path, []) as process:
        with pytest.raises(ProcessEnded, match='no talker was located within 0 s'):
            wait_until(lambda: False, [process], lambda: None, 0.1, 'no talker was located')
        wait_until(lambda: True, [process], lambda: None, 0.1, 'nothing')
        check_alive([process])
        assert process.poll() is None and process.log == tmp_path / 'follow.log'
    assert process.poll() is not None
