"""Opens a bag's files with the definitions that the audio in them needs."""

from collections.abc import Sequence
from pathlib import Path

from nsrp_ros.bags.message_definitions import DEFINITIONS
from nsrp_ros.bags.message_definitions import KINDS
from rosbags.highlevel import AnyReader
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores


def open_files(files: Sequence[Path]) -> AnyReader:
    """Open a bag's files with the definitions that the audio in them needs."""
    definitions: dict[str, str] = {}
    while True:
        store = get_typestore(Stores.ROS2_HUMBLE)
        for name, text in definitions.items():
            store.register(get_types_from_msg(text, name))
        reader = AnyReader(files, default_typestore=store)
        reader.open()
        # Two packages have the same name; only one of them can occur in a bag.
        wanted: dict[str, str] = {}
        for connection in reader.connections:
            if connection.msgtype in KINDS:
                wanted |= DEFINITIONS[connection.msgtype]
        if wanted == definitions:
            return reader
        reader.close()
        definitions = wanted


def cannot_read(path: Path, error: BaseException) -> str:
    """Return a sentence about why a bag cannot be read."""
    return (f'{path} cannot be read here ({error or type(error).__name__}): it is truncated or '
            'damaged. `mcap recover` or `ros2 bag reindex` may repair it')
