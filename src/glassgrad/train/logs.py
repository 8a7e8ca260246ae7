"""The numbers of each epoch in files that other programs read while training runs: JSON lines, and TensorBoard's."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..data.record import Record
from ..errors import DataError
from .callbacks import Callback
from .files import numbered, write_whole
from .history import Epoch

if TYPE_CHECKING:
    from .training import Training


class JSONLines(Callback):
    """One JSON object per line and epoch, readable at any moment: ``pandas.read_json(path, lines=True)``.

    A file that is there is replaced; where training goes on from a checkpoint, its lines up to there are kept. A number
    that is not finite is null.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from glassgrad import nn, optim, train
    >>> x = np.ones((8, 1), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = pathlib.Path(folder, "log.jsonl")
    ...     found = train.fit(nn.Linear(1, 1, rng=0), nn.squared_error, (x, x), optimizer=optim.SGD(0.1), epochs=3,
    ...                       log=log)
    ...     [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    [1, 2, 3]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def for_replica(self, index: int) -> JSONLines:
        return JSONLines(numbered(self.path, index))

    def on_start(self, training: Training) -> None:
        done = len(training.history.loss)
        lines = self.path.read_text().splitlines(keepends=True) if done and self.path.exists() else []
        write_whole(self.path, "".join(line for line in lines if _number(line) <= done).encode(), DataError)

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        numbers = {name: value if math.isfinite(value) else None for name, value in epoch.to_dict().items()}
        with self.path.open("a") as stream:
            stream.write(json.dumps(numbers) + "\n")


def _number(line: str) -> float:
    """Of the epoch in a line; beyond all others for half a line."""
    try:
        return Record(json.loads(line), "line").number("epoch") if line.endswith("\n") else math.inf
    except ValueError:
        return math.inf


class TensorBoard(Callback):
    """The numbers of each epoch as TensorBoard shows them: ``tensorboard --logdir runs``. Needs nothing installed.

    Parameters
    ----------
    folder : one for each run; a run that is resumed adds a file to it

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     board = TensorBoard(folder)
    ...     board.write(1, {"loss": 0.5})
    ...     board.close()
    ...     [path.name.startswith("events.out.tfevents.") for path in pathlib.Path(folder).iterdir()]
    [True]
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        there = next(place for place in (self.folder, *self.folder.absolute().parents) if place.exists())
        if not there.is_dir():
            raise DataError(f"TensorBoard: not a folder: got {there}, expected a folder, new or old; choose another")
        self.stream: BinaryIO | None = None

    def for_replica(self, index: int) -> TensorBoard:
        return TensorBoard(self.folder / str(index))

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        self.write(epoch.number, {name: value for name, value in epoch.to_dict().items() if name != "epoch"})

    def on_end(self, training: Training) -> None:
        self.close()

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Add numbers by name, as of one step."""
        if self.stream is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
            self.stream = (self.folder / name).open("xb")
            self.stream.write(_record(_message(_double(1, time.time()), _bytes(3, b"brain.Event:2"))))
        values = [_bytes(1, _message(_bytes(1, name.encode()), _float(2, value))) for name, value in numbers.items()]
        event = _message(_double(1, time.time()), _varint(2 << 3) + _varint(step), _bytes(5, _message(*values)))
        self.stream.write(_record(event))
        self.stream.flush()

    def close(self) -> None:
        """Nothing more comes."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None


# Events are protocol buffers (tensorboard/compat/proto/event.proto and summary.proto): wall_time = 1, step = 2,
# file_version = 3, summary = 5; a summary's values = 1, of which tag = 1 and simple_value = 2. A file is TFRecords:
# length, its checksum, content, its checksum.


def _message(*fields: bytes) -> bytes:
    return b"".join(fields)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    with np.errstate(over="ignore"):
        return _varint(field << 3 | 5) + np.array(value, "<f4").tobytes()


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + _masked_crc(length) + content + _masked_crc(content)


def _table() -> list[int]:
    """CRC-32C of each byte: Castagnoli's polynomial, reflected."""
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return found


_CRC = _table()


def _masked_crc(content: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
