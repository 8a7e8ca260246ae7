"""Checkpoints: going on as if nothing had been, whatever happened in between."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, ModelFileError
from glassgrad.train import Checkpoint, EarlyStopping, fit, load, safetensors, save

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 50)
TIMES = ("seconds",)


def network() -> Any:
    return nn.Sequential(nn.Linear(4, 8, rng=0), nn.BatchNorm(8), nn.relu, nn.Dropout(0.3), nn.Linear(8, 3, rng=1))


def run(path: Path | None = None, epochs: int = 6, **options: Any) -> Any:
    given: dict[str, Any] = {
        "optimizer": optim.AdamW(optim.Cosine(0.05, 40)),
        "batch_size": 8,
        "validation": 0.2,
        "rng": 3,
        "checkpoint": path,
    }
    given |= options
    return fit(network(), nn.cross_entropy, given.pop("data", (X, Y)), epochs=epochs, **given)


def same(one: Any, other: Any) -> None:
    """The same bits of models, and the same numbers in histories but for the time they took."""
    for a, b in zip(tree.leaves(one[0]), tree.leaves(other[0]), strict=True):
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
        np.testing.assert_array_equal(a, b)
    first, second = (dataclasses.asdict(result[1]) | {"seconds": None} for result in (one, other))
    assert first == second


class Killed(Exception):
    pass


def killed_after(epoch: int) -> Any:
    def kill(found: Any, training: Any) -> None:
        if found.number == epoch:
            raise Killed

    return kill


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("generator", [np.random.Philox, np.random.PCG64, np.random.MT19937])
def test_going_on_gives_the_bits_of_an_unbroken_run(tmp_path: Path, compile: bool, generator: Any) -> None:
    whole = run(rng=np.random.Generator(generator(5)), compile=compile)
    path = tmp_path / "c"
    with pytest.raises(Killed):
        run(path, rng=np.random.Generator(generator(5)), callbacks=[killed_after(4)], compile=compile)
    same(run(path, rng=np.random.Generator(generator(5)), resume=True, compile=compile), whole)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("dies", range(1, 10))
def test_within_an_epoch_too(tmp_path: Path, dies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five steps an epoch, written after every second one; death at each of those writes, before it."""
    data = (X, Y, np.linspace(0, 3, 50)) if dies % 2 else (X, Y)
    options: Any = {"optimizer": optim.SGD(0.1, momentum=0.9), "epochs": 3, "compile": False, "data": data}
    whole = run(**options)
    path, write, count = tmp_path / "c", Checkpoint.write, itertools.count(1)

    def mortal(self: Any, *args: Any) -> None:
        if next(count) == dies:
            raise Killed
        write(self, *args)

    monkeypatch.setattr(Checkpoint, "write", mortal)
    kept = Checkpoint(path, steps=2)
    with pytest.raises(Killed):  # of 2 + 1 writes an epoch
        run(**options, checkpoint=kept)
    assert path.exists() == (dies > 1)
    same(run(**options, checkpoint=kept, resume=True), whole)


def test_native_parts_of_an_epoch_are_the_epoch(tmp_path: Path) -> None:
    whole = run(epochs=2)
    same(run(epochs=2, checkpoint=Checkpoint(tmp_path / "c", steps=2)), whole)


def test_early_stopping_is_remembered(tmp_path: Path) -> None:
    options = {"patience": 3, "epochs": 40, "optimizer": optim.Adam(0.1), "compile": False}
    whole = run(**options)
    assert len(whole[1].loss) < 40
    for epoch in range(1, len(whole[1].loss) + 1):
        path = tmp_path / str(epoch)
        with pytest.raises(Killed):
            run(path, **options, callbacks=[killed_after(epoch)])
        same(run(path, **options, resume=True), whole)
    again = run(tmp_path / "1", **options, resume=True)  # it had ended
    same(again, whole)
    kept = load(tmp_path / "1").model  # a checkpoint is a file of its best model too
    np.testing.assert_array_equal(kept(X), whole[0](X))


def test_an_average_that_the_optimiser_keeps(tmp_path: Path) -> None:
    options: Any = {"optimizer": optim.Averaged(optim.SGD(0.1), 0.9), "compile": False}
    whole = run(**options)
    path = tmp_path / "c"
    with pytest.raises(Killed):
        run(path, **options, callbacks=[killed_after(3)])
    same(run(path, **options, resume=True), whole)
    np.testing.assert_array_equal(load(path).model(X), whole[0](X))


def test_more_epochs_later(tmp_path: Path) -> None:
    path = tmp_path / "c"
    run(path, epochs=2)
    same(run(path, epochs=6, resume=True), run(epochs=6))


def test_batches_from_a_function(tmp_path: Path) -> None:
    def batches(epoch: int) -> Any:
        rows = np.random.default_rng(epoch).permutation(50)
        return ((X[part], Y[part]) for part in np.split(rows, 5))

    options: Any = {"data": batches, "validation": (X, Y), "compile": False}
    path = tmp_path / "c"
    with pytest.raises(Killed):
        run(path, **options, callbacks=[killed_after(3)])
    same(run(path, **options, resume=True), run(**options))


def test_a_model_of_the_users_own_and_wide_numbers(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Spiral:
        z: Any
        steps: Any
        shape: Any  # a function: no array

        def __call__(self, x: Any) -> Any:
            return self.shape(self.z * x).real

    first = Spiral(np.array([1 + 2j, 0.5j]), np.array(3), abs)
    data = (X[:, :2].astype(float), X[:, 2:].astype(float) ** 2)
    options: Any = {"optimizer": optim.Adam(0.05), "epochs": 3}
    whole = fit(first, nn.squared_error, data, **options)
    fit(first, nn.squared_error, data, **options | {"epochs": 1}, checkpoint=tmp_path / "c")
    same(fit(first, nn.squared_error, data, **options, checkpoint=tmp_path / "c", resume=True), whole)
    with pytest.raises(ModelFileError, match="only its own program can build"):
        load(tmp_path / "c")


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    run(tmp_path / "c", epochs=1)
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(ModelFileError, match="exists: pass resume=True"):
        run(tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == before
    with pytest.raises(ValueError, match="resume needs a file"):
        run(resume=True)
    with pytest.raises(ValueError, match="numbers above 0"):
        Checkpoint(tmp_path / "c", every=0)


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "model", network())
    with pytest.raises(ModelFileError, match="the file is a glassgrad model: expected a glassgrad checkpoint"):
        run(tmp_path / "model", resume=True)


def test_what_is_not_the_same_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c"
    run(path, epochs=1)
    with pytest.raises(DataError, match="of other data: got .*20.*, expected .*40"):
        run(path, resume=True, data=(X[:25], Y[:25]))
    with pytest.raises(ModelFileError, match="of other batch_size: got batch_size 9, expected 8"):
        run(path, resume=True, batch_size=9)
    with pytest.raises(ModelFileError, match="of other rng: got rng 4, expected 3"):
        run(path, resume=True, rng=4)
    with pytest.raises(ModelFileError, match="of other optimizer: got optimizer AdamW, expected SGD"):
        run(tmp_path / "d", epochs=1, optimizer=optim.SGD(0.1))
        run(tmp_path / "d", resume=True)
    with pytest.raises(ModelFileError, match="of other rng: got rng PCG64, expected 3"):
        run(tmp_path / "e", epochs=1, validation=None)
        run(tmp_path / "e", resume=True, validation=None, rng=np.random.default_rng(0))
    state = "MT19937 in state [0-9a-f]{8}"
    generator: Any = lambda seed: np.random.Generator(np.random.MT19937(seed))
    with pytest.raises(ModelFileError, match=f"of other rng: got rng {state}, expected {state};"):
        run(tmp_path / "f", epochs=1, rng=generator(0))
        run(tmp_path / "f", resume=True, rng=generator(1))
    assert len(run(tmp_path / "f", epochs=2, resume=True, rng=generator(0))[1].loss) == 2
    with pytest.raises(ModelFileError, match=r"model: got model\S+ float32 \(4, 9\), expected .* \(4, 8\)"):
        fit(nn.MLP((4, 8, 3), rng=0), "mse", (X, X[:, :3]), optimizer="sgd", epochs=1, checkpoint=tmp_path / "g")
        again: Any = {"checkpoint": tmp_path / "g", "resume": True}
        fit(nn.MLP((4, 9, 3), rng=0), "mse", (X, X[:, :3]), optimizer="sgd", epochs=1, **again)
    safetensors.write(tmp_path / "w", {"w": np.ones(2)})
    with pytest.raises(ModelFileError, match="not a Glassgrad model"):
        run(tmp_path / "w", resume=True)


def test_every_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    options: Any = {"epochs": 1, "compile": False, "callbacks": [EarlyStopping(3)]}
    whole = run(path, **options)
    data = path.read_bytes()
    for n in RNG.integers(0, len(data), 100):
        path.write_bytes(data[:n] + bytes([data[n] ^ 1 << int(n) % 8]) + data[n + 1 :])
        with pytest.raises(ModelFileError):
            run(path, **options, resume=True)
    path.write_bytes(data)
    same(run(path, **options, resume=True), whole)


def other_loss(outputs: Any, y: Any) -> Any:
    return 2 * nn.cross_entropy(outputs, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": optim.SGD(0.1, momentum=0.5)}, r"got optimizer\.momentum 0.5, expected 0.9"),
        ({"optimizer": optim.SGD(0.2, momentum=0.9)}, r"got optimizer\.lr 0.2, expected 0.1"),
        ({"optimizer": optim.SGD(0.1)}, r"optimizer\.momentum 0.0, expected 0.9"),
        ({"optimizer": optim.Adam(0.1)}, "got optimizer Adam, expected SGD"),
        ({"data": (X + 1, Y)}, r"got data\.x float32 \(50, 4\) checksum"),
        ({"data": (X, Y.astype("i4"))}, r"got data\.y int32"),
        ({"data": (X, Y, np.ones(50))}, r"data\.weights float64 \(50,\) \S+ \S+, expected nothing"),
        ({"batch_size": 9}, r"of other batch_size: got batch_size 9, expected 8"),
        ({"model": nn.MLP((4, 8, 3), "tanh", rng=0)}, r"model\.activation 'tanh', expected 'relu'"),
        ({"loss": other_loss}, "of other loss: got loss other_loss, expected cross_entropy"),
        ({"validation": (X, Y)}, "of other validation"),
        ({"callbacks": [EarlyStopping(3, "loss")]}, None),
    ],
)
def test_only_the_same_run_goes_on(tmp_path: Path, options: dict[str, Any], message: str | None) -> None:
    given: dict[str, Any] = {
        "model": nn.MLP((4, 8, 3), rng=0),
        "loss": nn.cross_entropy,
        "data": (X, Y),
        "optimizer": optim.SGD(0.1, momentum=0.9),
        "batch_size": 8,
        "compile": False,
        "checkpoint": tmp_path / "c",
    }
    fit(**given, epochs=1)
    before = (tmp_path / "c").read_bytes()
    if message is None:
        assert len(fit(**given | options, epochs=5, resume=True)[1].loss) == 5
        with pytest.raises(ModelFileError, match="of a run with EarlyStopping: got none"):
            fit(**given, epochs=6, resume=True)
        return
    with pytest.raises((DataError, ModelFileError), match=message):
        fit(**given | options, epochs=2, resume=True)
    assert (tmp_path / "c").read_bytes() == before


def test_arrays_left_over_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    run(path, epochs=1, compile=False)
    arrays, metadata = safetensors.read(path)
    safetensors.write(path, {**arrays, "optimizer.more": np.ones(2)}, metadata)
    with pytest.raises(ModelFileError, match=r"got optimizer\.more, which nothing here has"):
        run(path, epochs=2, compile=False, resume=True)


def test_patience_from_the_middle_on(tmp_path: Path) -> None:
    options: Any = {"validation": (X, Y), "compile": False}
    run(tmp_path / "c", epochs=4, **options)
    _, history = run(tmp_path / "c", epochs=9, patience=2, resume=True, **options)
    assert len(history.loss) > 4
    assert history.best_epoch > 4
    assert len({len(column) for column in history.to_dict().values()}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": (X, Y)}, "of other validation: got validation of rows given, expected None"),
        ({"validation": (X, Y), "patience": 2}, "of other validation"),
        ({"validation": 0.2}, "of other validation: got validation 0.2, expected None"),
    ],
)
def test_what_is_measured_stays_the_same(tmp_path: Path, options: Any, message: str) -> None:
    run(tmp_path / "c", epochs=1, validation=None, compile=False)
    with pytest.raises(DataError, match=message):
        run(tmp_path / "c", resume=True, compile=False, **options)


def test_metrics_stay_the_same(tmp_path: Path) -> None:
    run(tmp_path / "c", epochs=1, compile=False)
    with pytest.raises(ModelFileError, match="of other metrics: got metrics 'zero', expected ''"):
        run(tmp_path / "c", resume=True, compile=False, metrics={"zero": lambda outputs, y: 0.0})
