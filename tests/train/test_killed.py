"""Training that is killed by SIGKILL at random moments: the checkpoint is whole each time, and of the right bits.

GLASSGRAD_KILLS=50 does it fifty times.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import tree
from glassgrad.train import Checkpoint, fit, load, safetensors

KILLS = int(os.environ.get("GLASSGRAD_KILLS", "3"))
EPOCHS = 20 * (1 + KILLS)

# Written after every step, and large enough for a write to take its time. 3 steps an epoch.
PROGRAM = """
import sys
import numpy as np
from glassgrad import nn, optim
from glassgrad.train import Checkpoint, fit

def arguments(path, epochs):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 64)).astype(np.float32), rng.integers(0, 10, 24)
    model = nn.Sequential(nn.Linear(64, 256, rng=0), nn.relu, nn.Dropout(0.1), nn.Linear(256, 10, rng=1))
    checkpoint = Checkpoint(path, steps=1)
    given = dict(optimizer=optim.Adam(1e-4), epochs=epochs, batch_size=8, compile=False)
    return (model, nn.cross_entropy, (x, y)), dict(given, checkpoint=checkpoint, resume=True)

if __name__ == "__main__":
    positional, named = arguments(sys.argv[1], int(sys.argv[2]))
    fit(*positional, **named)
"""


def digest(model: Any) -> int:
    return zlib.crc32(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in tree.leaves(model)))


def test_no_checkpoint_is_lost_or_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "program"}
    exec(PROGRAM, names)
    expected: dict[int, int] = {}
    write = Checkpoint.write

    def noted(self: Any, runs: Any) -> None:
        if not expected:
            write(self, runs)
        (training,) = runs
        expected[int(training.carry.steps)] = digest(training.model)

    monkeypatch.setattr(Checkpoint, "write", noted)
    positional, named = names["arguments"](tmp_path / "unbroken", EPOCHS)
    unbroken, _ = fit(*positional, **named)
    monkeypatch.undo()

    program, path, chance = tmp_path / "program.py", tmp_path / "c", random.Random(0)
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(path), str(EPOCHS)]
    last, killed = 0, 0
    for _ in range(KILLS):
        before = path.stat().st_mtime_ns if path.exists() else 0
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as process:
            while process.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
        killed += process.returncode == -9
        arrays, _ = safetensors.read(path)
        steps = int(arrays["steps"])
        assert steps >= last
        assert digest(load(path).model) == expected[steps]
        last = steps
    assert killed == KILLS, "it ended before it was killed: more epochs are needed"
    assert last < 3 * EPOCHS
    model, history = fit(*positional, **{**named, "checkpoint": Checkpoint(path, steps=1)})
    assert digest(model) == digest(unbroken)
    assert len(history.loss) == EPOCHS
    assert not [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")]
