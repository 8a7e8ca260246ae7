"""Arrays from a safetensors file put into a model by name: those Glassgrad wrote, and PyTorch's state dicts."""

from __future__ import annotations

import os

from ..errors import DataError, ModelFileError
from ..nn.pytorch import Model, Rename, from_torch
from . import safetensors


def load_state(model: Model, path: str | os.PathLike[str], rename: Rename | None = None, strict: bool = True) -> Model:
    """A model like ``model`` with the arrays of a safetensors file, by ``nn.from_torch``.

    They may be called as ``save`` calls them, or as PyTorch does, which writes such files by
    ``safetensors.torch.save_file(net.state_dict(), path)``.

    Parameters
    ----------
    path : the file
    model, rename, strict : as for ``nn.from_torch``

    Raises
    ------
    ModelFileError
        The file cannot be read; or arrays are missing, unexpected, or of other shapes: all are listed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> weight, bias = np.ones((3, 2), np.float32), np.zeros(3, np.float32)  # as of torch.nn.Linear(2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "state.safetensors")
    ...     safetensors.write(path, {"head.weight": weight, "head.bias": bias})
    ...     load_state({"out": nn.Linear(2, 3, rng=0)}, path, {"out": "head"})["out"].W.shape
    (2, 3)
    """
    arrays, _ = safetensors.read(path)
    try:
        return from_torch(model, arrays, rename, strict)
    except DataError as error:
        raise ModelFileError(f"{str(error).replace('from_torch', 'load_state', 1)} (file {path})") from None
