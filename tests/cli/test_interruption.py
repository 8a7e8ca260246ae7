"""Training that is stopped, killed or not listened to: nothing is lost, and what goes on is what would have been."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from glassgrad.train import safetensors
from tests.oracles.commands import SOURCE, command, flowers

TRAIN = ("train", "f.csv", "--target", "kind", "--hidden", "8", "--dropout", "0.1", "--validation", "0.2")


@pytest.fixture
def data(run: Any) -> None:
    Path("f.csv").write_text(flowers())


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    """``glassgrad ...`` as its installed script begins it; says when it begins to load the package."""
    script = """
import glassgrad_command, sys
class Begun:
    def find_spec(self, name, *rest):
        if name == "glassgrad":
            print("begun", flush=True)
sys.meta_path.insert(0, Begun())
sys.exit(glassgrad_command.main())
"""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of Bash in which ``$G`` is ``glassgrad``."""
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "G": f"{sys.executable} -W error -m glassgrad"}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True)


def test_resuming_gives_the_bits_of_an_unbroken_run(run: Any, data: None) -> None:
    constant = (*TRAIN, "--schedule", "constant", "--json")
    whole = run(*constant, "--epochs", 7, "--out", "whole")
    assert run(*constant, "--epochs", 3, "--out", "part", "--checkpoint", "c").code == 0
    rest = run(*constant, "--epochs", 7, "--out", "part", "--resume", "c")
    assert rest.code == 0, rest.err
    one, other = json.loads(whole.out), json.loads(rest.out)
    for name in ("loss", "gradient_norm", "validation_loss", "accuracy"):
        assert one["history"][name] == other["history"][name]
    assert Path("whole").read_bytes() == Path("part").read_bytes()
    again = run(*constant, "--epochs", 7, "--out", "part", "--resume", "c")  # nothing is left to do
    assert json.loads(again.out)["history"] == other["history"]


def test_a_checkpoint_of_another_run_is_refused(run: Any, data: None) -> None:
    constant = (*TRAIN, "--schedule", "constant")
    assert run(*constant, "--epochs", 1, "--quiet", "--checkpoint", "c").code == 0
    assert run(*TRAIN, "--epochs", 1, "--quiet", "--checkpoint", "cosine").code == 0
    Path("g.csv").write_text(flowers(seed=1))
    before = Path("c").read_bytes()
    for arguments, message in (
        ((*constant, "--resume", "c", "--seed", 3), "the checkpoint is of another run: got seed 3, expected 0;"),
        ((*constant, "--resume", "c", "--test-fraction", 0.4), "got number of rows "),
        ((*constant, "--resume", "c", "--ignore", "width"), "got number of features "),
        ((*constant[:1], "g.csv", *constant[2:], "--resume", "c"), "got data other rows"),
        ((*constant, "--resume", "c", "--activation", "tanh"), "got activation tanh, expected relu"),
        ((*constant, "--resume", "c", "--batch-size", 5), "got --batch-size 5, expected 7"),
        ((*constant, "--resume", "c", "--hidden", "9"), "[9], expected"),
        ((*constant, "--resume", "c", "--lr", "0.5"), "0.5, expected"),
        ((*constant, "--resume", "c", "--optimizer", "sgd"), "sgd, expected adamw"),
        ((*TRAIN, "--resume", "cosine"), "epochs 2, expected 1; pass the same"),
        ((*TRAIN, "--resume", "d"), "no checkpoint to go on from: got d"),
        ((*TRAIN, "--resume", "f.csv"), "f.csv"),
        ((*TRAIN, "--checkpoint", "c"), "c exists: go on from it by --resume c"),
        ((*TRAIN, "--checkpoint", "no/c"), "no such folder"),
        ((*TRAIN, "--checkpoint", "c", "--resume", "c"), "leave one out"),
    ):
        done = run(*arguments, "--epochs", 2, "--quiet", "--out", "m")
        assert (done.code, message in done.err) == (1, True), done.err
        assert done.err.count("\n") == 1
    assert Path("c").read_bytes() == before
    assert not Path("m").exists()


def test_a_killed_run_goes_on(run: Any, data: None, tmp_path: Path) -> None:
    arguments = (*TRAIN, "--schedule", "constant", "--json")
    with start(*arguments, "--epochs", "100000", "--checkpoint", "c", folder=tmp_path) as process:
        end = time.monotonic() + 60
        while not Path("c").exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        process.kill()
    epochs = len(safetensors.read("c")[0]["history.loss"]) + 3
    assert epochs > 3
    rest = json.loads(run(*arguments, "--epochs", epochs, "--resume", "c").out)
    whole = json.loads(run(*arguments, "--epochs", epochs, "--out", "whole").out)
    assert len(whole["history"]["loss"]) == epochs
    assert whole["history"]["loss"] == rest["history"]["loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_report_can_be_read_whatever_ends_training(data: Any, tmp_path: Path, number: signal.Signals) -> None:
    with start(*TRAIN, "--epochs", "100000", "--report", "r.html", folder=tmp_path) as process:
        assert process.stdout is not None
        assert any(line.startswith("epoch") for line in process.stdout)
        process.send_signal(number)
        process.communicate(timeout=60)
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', Path("r.html").read_text(), re.S)
    assert found is not None
    shown = json.loads(found[1])
    assert shown["state"] == ("interrupted" if number == signal.SIGINT else "running")
    assert len(shown["history"]["loss"]) >= 1
    assert len(shown["measured"]) >= 2


def test_ctrl_c_while_training_keeps_the_best_model(data: Any, run: Any, tmp_path: Path) -> None:
    with start(*TRAIN, "--epochs", "100000", "--checkpoint", "c", folder=tmp_path) as process:
        assert process.stdout is not None
        assert any(line.startswith("epoch") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    told = r"glassgrad: interrupted after epoch (\d+); the model of epoch \1 is saved in f\.glassgrad"
    told += r"; go on by --resume c\n"
    assert re.fullmatch(told, err)
    assert "held out: accuracy" in out
    found = json.loads(run("info", "f.glassgrad", "--json").out)["training"]
    assert str(found["epochs"]) == re.fullmatch(told, err)[1]  # type: ignore[index]


def test_ctrl_c_before_an_epoch_is_done_leaves_nothing(run: Any, tmp_path: Path, monkeypatch: Any) -> None:
    Path("f.csv").write_text(flowers())

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glassgrad.cli.train.prepare", interrupted)
    done = run(*TRAIN)
    assert (done.code, done.err) == (130, "glassgrad: interrupted; nothing was saved\n")
    assert [p.name for p in tmp_path.iterdir()] == ["f.csv"]


def test_ctrl_c_while_the_program_loads(tmp_path: Path) -> None:
    script = """import builtins, sys, glassgrad_command
within = builtins.__import__
def announced(name, *rest, **more):
    if name == "glassgrad.cli":
        print("loading", flush=True)
    return within(name, *rest, **more)
builtins.__import__ = announced
sys.exit(glassgrad_command.main())"""
    with subprocess.Popen(
        [sys.executable, "-c", script, "train", "absent.csv", "--target", "x"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err + out
    assert process.returncode in (-signal.SIGINT, 130, 1)  # 1: it was already done


def test_a_reader_that_leaves_does_not_stop_training(data: Any, run: Any, tmp_path: Path) -> None:
    line = " ".join(TRAIN)
    done = shell(f"$G {line} --epochs 200 | head -n 1; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout == "f.csv: 90 rows, 72 to learn from, 18 held out\n"
    assert json.loads(run("info", "f.glassgrad", "--json").out)["training"]["epochs"] == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_output_that_cannot_be_written_does_not_stop_training(data: Any, tmp_path: Path) -> None:
    done = shell(f"$G {' '.join(TRAIN)} --epochs 2 > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "glassgrad: No space left on device: standard output\n")
    assert (tmp_path / "f.glassgrad").exists()
    predicted = shell("$G predict f.glassgrad f.csv > /dev/full", tmp_path)
    assert predicted.returncode == 1
    assert "Traceback" not in predicted.stderr


def test_the_installed_command_is_the_same(tmp_path: Path) -> None:
    with start("--version", folder=tmp_path) as process:
        out, _ = process.communicate(timeout=60)
    assert out == "begun\n" + command("--version", folder=tmp_path).stdout
