"""Logs as the programs they are for read them; the history in pandas and matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim
from glassgrad.errors import DataError, MissingExtraError
from glassgrad.train import Epoch, History, JSONLines, TensorBoard, fit

X = np.linspace(-1, 1, 20)[:, None]


def run(epochs: int = 3, **options: Any) -> History:
    model = nn.Linear(1, 1, rng=0, dtype=np.float64)
    given = {"optimizer": optim.SGD(0.1), "validation": (X, X), "compile": False, **options}
    return fit(
        model, nn.squared_error, (X, 3 * X), epochs=epochs, metrics={"bias": lambda out, y: (out - y).mean()}, **given
    )[1]


def columns(path: Path) -> dict[str, list[Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {name: [line[name] for line in lines] for name in lines[0]}


def test_lines_of_json(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("of an earlier run\n")
    history = run(log=log)
    assert columns(log) == history.to_dict()


def test_a_log_goes_on_where_its_checkpoint_does(tmp_path: Path) -> None:
    log, kept = tmp_path / "log.jsonl", tmp_path / "c"
    run(2, log=log, checkpoint=kept)
    with log.open("a") as stream:
        stream.write('{"epoch": 3, "loss": 0}\n{"epoch": 4, "lo')  # killed while it wrote, after the checkpoint
    history = run(5, log=log, checkpoint=kept, resume=True)
    assert columns(log)["epoch"] == [1, 2, 3, 4, 5]
    assert columns(log)["loss"] == history.loss


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    run(1, log=tmp_path / "log", validation=(X, X * 1e200))
    assert columns(tmp_path / "log")["validation_loss"] == [None]


def test_a_place_where_no_log_can_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        run(1, log=tmp_path / "no" / "log")


def test_tensorboard_reads_its_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = run(callbacks=[TensorBoard(tmp_path / "run")])
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    expected = history.to_dict()
    assert set(events.Tags()["scalars"]) == set(expected) - {"epoch"}
    for name in events.Tags()["scalars"]:
        found = events.Scalars(name)
        assert [event.step for event in found] == expected["epoch"]
        np.testing.assert_array_equal([event.value for event in found], np.float32(expected[name]))


def test_checksums_of_its_log(tmp_path: Path) -> None:
    """Its reader above may be lenient, so the checksums are asked for: 'iSCSI's test vectors, RFC 3720, B.4."""
    from glassgrad.train.logs import _masked_crc

    for content, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        assert _masked_crc(content) == masked.to_bytes(4, "little")


def test_large_and_many_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    numbers = {f"näme {i}" * 20: value for i, value in enumerate((1e300, -np.inf, 5e-324, 2.5))}
    for step in (0, 127, 128, 10**12):
        board.write(step, numbers)
    board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    for name, value in zip(numbers, (np.inf, -np.inf, 0, 2.5), strict=True):
        assert [(e.step, e.value) for e in events.Scalars(name)] == [(s, value) for s in (0, 127, 128, 10**12)]


def test_a_history_in_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(run().to_dict())
    assert frame.shape == (3, 7)
    assert list(frame.columns) == ["epoch", "loss", "gradient_norm", "validation_loss", "bias", "lr", "seconds"]
    assert (frame["loss"].diff().dropna() < 0).all()


def test_a_history_is_plotted() -> None:
    pytest.importorskip("matplotlib")
    history = run()
    figure = history.plot()
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "log"]
    drawn = [line for axes in figure.axes for line in axes.lines]
    for line, values in zip(drawn, (history.loss, history.validation_loss, history.metrics["bias"]), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert len(drawn) == 4
    assert History().plot() is not None


def test_plotting_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'glassgrad\[plot\]'"):
        History().plot()


def test_metrics_do_not_take_the_names_of_columns() -> None:
    with pytest.raises(ValueError, match="cannot be called 'loss'"):
        fit(nn.Linear(1, 1, rng=0), nn.squared_error, (X, X), optimizer=optim.SGD(0.1), epochs=1, metrics={"loss": max})
    assert Epoch(1, 0.5, 1.0, 0.25).to_dict()["validation_loss"] == 0.25
    assert JSONLines("a").path == Path("a")
