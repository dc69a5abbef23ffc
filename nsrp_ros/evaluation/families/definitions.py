"""The families of scenes, each a preset with a frozen test set."""

from dataclasses import dataclass

KINDS = ('position', 'direction', 'talkers')


@dataclass(frozen=True)
class Family:
    """
    Scenes of one kind.

    Attributes
    ----------
    name : str
        Its title in the table.
    preset : str
        See simulation/presets.py.
    mics : tuple of int
        Numbers of microphones: the first ones of the smallest set that has as many.
    kind : str
        What is measured: the 'position' of one talker; its 'direction' from the array too; or
        the positions of all 'talkers', of whom there may be none.

    """

    name: str
    preset: str
    mics: tuple[int, ...]
    kind: str

    def __post_init__(self) -> None:
        """Refuse kinds that nothing is measured of."""
        if self.kind not in KINDS:
            raise ValueError(f'a family is of a kind of {KINDS}, not {self.kind!r}')


_ALL = (
    Family('hard rooms, walls told exactly', 'told_exact', (4, 6, 8), 'position'),
    Family('walls told within 5 cm and 2 degrees', 'told_rough', (4, 6, 8), 'position'),
    Family('nothing told, twice the room searched', 'told_nothing', (4, 6, 8), 'position'),
    Family('L-shaped and polygonal rooms, outline told', 'polygon', (4, 6, 8), 'position'),
    Family('ring of 3.2 cm, walls told exactly', 'ring_exact', (4,), 'direction'),
    Family('ring of 3.2 cm, nothing told', 'ring_nothing', (4,), 'direction'),
    Family('two talkers', 'two_talkers', (4, 6, 8), 'talkers'),
    Family('three talkers', 'three_talkers', (6, 8), 'talkers'),
    Family('realistic rooms', 'real', (4, 6, 8), 'position'),
    Family('nobody talks', 'silent', (6,), 'talkers'),
)
FAMILIES = {family.preset: family for family in _ALL}
"""All families by their presets, in the order of the table."""
