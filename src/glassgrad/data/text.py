"""Text as numbers, character by character."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError


@dataclass(frozen=True)
class Characters:
    """The distinct characters of a text, sorted; the number of a character is its place among them.

    Examples
    --------
    >>> characters = Characters.of("to be or not to be")
    >>> len(characters), characters.encode("tot")
    (7, array([6, 4, 6], dtype=int32))
    >>> characters.decode(characters.encode("not to be"))
    'not to be'
    """

    alphabet: str

    @classmethod
    def of(cls, text: str) -> Characters:
        """The characters that a text is made of."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.alphabet)

    def encode(self, text: str) -> NDArray[np.int32]:
        """[characters]: the number of each; :class:`DataError` about one that is not among them."""
        known, codes = _codes(self.alphabet), _codes(text)
        numbers = np.searchsorted(known, codes).clip(max=max(len(known) - 1, 0))
        wrong = known[numbers] != codes if len(known) else np.ones(len(codes), dtype=np.bool_)
        if wrong.any():
            place = int(wrong.argmax())
            raise DataError(
                f"encode: unknown character: got {text[place]!r} at offset {place}, expected one of the {len(known)} "
                f"in {self.alphabet!r:.80}; make Characters of all the text there is"
            )
        return numbers.astype(np.int32)

    def decode(self, numbers: ArrayLike) -> str:
        """The text of numbers [characters]; :class:`DataError` about one that is no character's."""
        numbers = np.asarray(numbers)
        wrong = (numbers < 0) | (numbers >= len(self))
        if wrong.any():
            raise DataError(
                f"decode: unknown number: got {numbers[wrong].flat[0]}, expected 0 to {len(self) - 1}; decode with the "
                f"Characters that encoded"
            )
        return "".join(map(self.alphabet.__getitem__, numbers.tolist()))


def windows(sequence: NDArray[np.generic], length: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Every stretch of ``length`` items, and the same stretch one item later: what to read, and what to predict.

    Both are views of ``sequence`` [items], of shape [items - length, length]: a window costs no memory until its
    batch is gathered.

    Raises
    ------
    DataError
        The sequence is not longer than a window.

    Examples
    --------
    >>> x, y = windows(np.arange(5), 3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3]], [[1, 2, 3], [2, 3, 4]])
    """
    if length < 1 or len(sequence) <= length:
        raise DataError(
            f"windows: the sequence is too short: got {len(sequence)} items for windows of {length}, expected more "
            f"items than a window has, and windows of at least 1"
        )
    every = np.lib.stride_tricks.sliding_window_view(sequence, length)
    return every[:-1], every[1:]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)
