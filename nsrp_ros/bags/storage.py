"""Which files a bag is, and what is left of one whose recorder was killed."""

import struct

MAGIC = b'\x89MCAP0\r\n'
# A footer without a summary (opcode 2, twenty bytes of zeros): readers then scan the whole file.
_END = struct.pack('<BQ20x', 2, 20) + MAGIC
_COPIED = 2 ** 24  # bytes at a time


class BagError(Exception):
    """A bag that cannot be used; the text says why, and what to do."""


def bag_files(path, scratch):
    """
    Find what is to be read.

    Parameters
    ----------
    path : pathlib.Path
        A bag's folder, or its .mcap or .db3 file.
    scratch : pathlib.Path
        A folder for what has to be mended.

    Returns
    -------
    tuple of list of pathlib.Path and str
        The bag itself, or its files where it has lost its metadata or a file of it its end; and a
        sentence about what is missing, empty if nothing.

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
    mended = [_mend(file, scratch) if file in truncated else file for file in files]
    names = ', '.join(file.name for file in truncated)
    return mended, f'{names} is truncated: only what is whole of it was read' if names else ''


def _has_end(file):
    with file.open('rb') as stream:
        stream.seek(0, 2)
        if stream.tell() < 2 * len(MAGIC):
            return False
        stream.seek(-len(MAGIC), 2)
        return stream.read() == MAGIC


def _mend(file, scratch):
    """Copy an MCAP's whole records, and end it."""
    mended = scratch / file.name
    with file.open('rb') as source, mended.open('wb') as target:
        size = source.seek(0, 2)
        source.seek(0)
        if source.read(len(MAGIC)) != MAGIC:
            raise BagError(f'{file} is no MCAP file')
        end = len(MAGIC)
        while end + 9 <= size:
            source.seek(end)
            opcode, length = struct.unpack('<BQ', source.read(9))
            # What comes after the data (opcode 15) sums up a file that is another one now.
            if opcode == 15 or end + 9 + length > size:
                break
            end += 9 + length
        source.seek(0)
        while end:
            part = source.read(min(end, _COPIED))
            target.write(part)
            end -= len(part)
        target.write(_END)
    return mended
