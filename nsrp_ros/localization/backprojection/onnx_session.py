"""
Networks for ONNX Runtime: one zip file of ONNX graphs and the settings that they were made for.

`python -m nsrp_ros.training.export_onnx` writes such files from checkpoints. They hold a graph for
each of a network's parts, because what lies between parts (transforms, geometry, the selection of
cells) is computed by NumPy and SciPy.
"""

from collections.abc import Mapping
import io
import json
import os
from typing import Any
from zipfile import BadZipFile
from zipfile import ZIP_DEFLATED
from zipfile import ZipFile
from zipfile import ZipInfo
from zlib import error as ZlibError

from nsrp_ros.core.config import BackprojectionConfig
from nsrp_ros.core.config import Confidence
from nsrp_ros.core.model_files import WeightsError
import numpy as np
from numpy.typing import NDArray

FORMAT = 'nsrp_ros-onnx-1'
PARTS = ('weightings', 'lags', 'gates', 'project', 'read')
_SETTINGS = 'settings.json'


class OnnxNetwork:
    """
    The parts of a network, ready to run.

    Parameters
    ----------
    config : BackprojectionConfig
        The network's settings.
    graphs : dict of str to bytes
        ONNX graphs by `PARTS`; 'weightings' only where some are learned.
    threads : int
        Of each part; 0 takes OMP_NUM_THREADS, or ONNX Runtime's choice where that is not set.

    Raises
    ------
    WeightsError
        If ONNX Runtime is not installed, or refuses a graph.

    """

    def __init__(self, config: BackprojectionConfig, graphs: Mapping[str, bytes],
                 threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError('networks in .onnx.zip files need ONNX Runtime: '
                               'pip install onnxruntime') from error
        self.config = config
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _requested_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait for work must not take processor time from the robot.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._sessions = {}
        for part, graph in graphs.items():
            try:
                self._sessions[part] = onnxruntime.InferenceSession(
                    graph, options, providers=['CPUExecutionProvider'])
            except Exception as error:  # noqa: B902 - its classes have no common base of their own
                reason = str(error).splitlines()[0]
                raise WeightsError(f'ONNX Runtime refuses part {part}: {reason}') from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], threads: int = 0) -> 'OnnxNetwork':
        """
        Read a file that `save_graphs` has written.

        Raises
        ------
        WeightsError
            If the file is damaged, of another format or incomplete, or ONNX Runtime is missing.

        """
        try:
            with ZipFile(path) as file:
                settings = json.loads(file.read(_SETTINGS))
                if settings['format'] != FORMAT:
                    raise WeightsError(f'{path} is not an nsrp_ros network for ONNX Runtime '
                                       f'(format {settings["format"]!r})')
                fields = {name: _tuples(value) for name, value in settings['config'].items()}
                fields['confidence'] = Confidence(**fields['confidence'])
                config = BackprojectionConfig(**fields)
                graphs = {part: file.read(f'{part}.onnx') for part in PARTS
                          if part != 'weightings' or config.learned_weightings}
        except WeightsError:
            raise
        # RuntimeError: zip files that are encrypted or packed in ways that Python lacks.
        except (BadZipFile, ZlibError, EOFError, KeyError, TypeError, ValueError, RuntimeError,
                OSError) as error:
            raise WeightsError(f'cannot read a network from {path}: {error}') from error
        try:
            return cls(config, graphs, threads)
        except WeightsError as error:
            raise WeightsError(f'{path}: {error}') from error

    def run(self, part: str, **inputs: NDArray[np.float32]) -> list[Any]:
        """
        Run a part.

        Parameters
        ----------
        part : str
            One of `PARTS`.
        **inputs : numpy.ndarray
            By their names in export_onnx.py, float32.

        Returns
        -------
        list of numpy.ndarray
            Its outputs.

        """
        return self._sessions[part].run(None, inputs)


def save_graphs(path: str | os.PathLike[str], settings: Mapping[str, Any],
                graphs: Mapping[str, bytes]) -> None:
    """
    Write a network; the same graphs give the same file, byte by byte.

    Parameters
    ----------
    path : str or path-like
        Of the .onnx.zip file.
    settings : dict
        The fields of a BackprojectionConfig.
    graphs : dict of str to bytes
        By `PARTS`.

    """
    text = json.dumps({'format': FORMAT, 'config': settings}, indent=1).encode()
    content = {_SETTINGS: text, **{f'{part}.onnx': graph for part, graph in graphs.items()}}
    buffer = io.BytesIO()
    with ZipFile(buffer, 'w') as file:
        for name, data in content.items():
            file.writestr(ZipInfo(name), data, ZIP_DEFLATED)
    with open(path, 'wb') as out:
        out.write(buffer.getvalue())


def _requested_threads() -> int:
    """Return OMP_NUM_THREADS, which other libraries respect, or 0."""
    requested = os.environ.get('OMP_NUM_THREADS', '')
    return int(requested) if requested.isdecimal() else 0


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into the tuples that they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
