"""The files of a bag, and the repair of one whose recorder was killed."""

from pathlib import Path
import struct

MAGIC = b'\x89MCAP0\r\n'
# A footer without a summary (opcode 2, twenty bytes of zeros): readers then scan the whole file.
_END = struct.pack('<BQ20x', 2, 20) + MAGIC
_COPIED = 2 ** 24  # bytes copied at a time


class BagError(Exception):
    """A bag that cannot be used; the text says why, and what helps."""


def bag_files(path: Path, scratch: Path) -> tuple[list[Path], str]:
    """
    Find the files of a bag.

    Parameters
    ----------
    path : pathlib.Path
        A bag's folder, or its .mcap or .db3 file.
    scratch : pathlib.Path
        A folder for repaired copies.

    Returns
    -------
    tuple of list of pathlib.Path and str
        The bag itself, or its files where its metadata is missing or one of them is truncated;
        and a sentence about what is missing, empty if nothing.

    Raises
    ------
    BagError
        If there is no bag.

    """
    if not path.exists():
        raise BagError(f'there is no bag {path}')
    files = [path]
    if path.is_dir():
        files = sorted([*path.glob('*.mcap'), *path.glob('*.db3')])
        whole = (path / 'metadata.yaml').is_file()
        if not files and not whole:
            raise BagError(f'{path} is no bag: it holds neither metadata.yaml nor a .mcap or .db3 '
                           'file')
    elif path.suffix not in ('.mcap', '.db3'):
        raise BagError(f'{path} is no bag: a folder, a .mcap or a .db3 file is wanted')
    else:
        whole = False
    truncated = [file for file in files if file.suffix == '.mcap' and not _has_end(file)]
    if whole and not truncated:
        return [path], ''
    repaired = [_repair(file, scratch) if file in truncated else file for file in files]
    names = ', '.join(file.name for file in truncated)
    return repaired, f'{names} is truncated: only what is whole of it was read' if names else ''


def _has_end(file: Path) -> bool:
    with file.open('rb') as stream:
        stream.seek(0, 2)
        if stream.tell() < 2 * len(MAGIC):
            return False
        stream.seek(-len(MAGIC), 2)
        return stream.read() == MAGIC


def _repair(file: Path, scratch: Path) -> Path:
    """Copy the complete records of an MCAP file, and append a footer."""
    repaired = scratch / file.name
    with file.open('rb') as source, repaired.open('wb') as target:
        size = source.seek(0, 2)
        source.seek(0)
        if source.read(len(MAGIC)) != MAGIC:
            raise BagError(f'{file} is no MCAP file')
        end = len(MAGIC)
        while end + 9 <= size:
            source.seek(end)
            opcode, length = struct.unpack('<BQ', source.read(9))
            # The summary after the data (opcode 15) would not match the truncated file.
            if opcode == 15 or end + 9 + length > size:
                break
            end += 9 + length
        source.seek(0)
        while end:
            block = source.read(min(end, _COPIED))
            target.write(block)
            end -= len(block)
        target.write(_END)
    return repaired
