"""A table read from a Parquet file."""

from __future__ import annotations

from os import PathLike

from ..errors import DataError
from .frame import pyarrow
from .source import explained, require_file
from .table import Table


def read_parquet(path: str | PathLike[str]) -> Table:
    """Read a Parquet file into a :class:`Table`, through PyArrow (the extra ``parquet``).

    Raises
    ------
    DataError
        The file is missing, damaged, or not Parquet.
    MissingExtraError
        PyArrow is not installed.

    Examples
    --------
    >>> import pathlib, tempfile, pytest
    >>> pyarrow = pytest.importorskip("pyarrow")
    >>> import pyarrow.parquet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.parquet")
    ...     pyarrow.parquet.write_table(pyarrow.table({"age": [31, 42], "city": ["Rome", None]}), path)
    ...     table = read_parquet(path)
    >>> table["age"].tolist(), list(table["city"])
    ([31, 42], ['Rome', ''])
    """
    file = require_file(path, "read_parquet", "a Parquet file")
    library, parquet = pyarrow(""), pyarrow(".parquet")
    with explained(file, "read_parquet"):
        try:
            frame = parquet.read_table(file)
        except library.ArrowInvalid as error:
            raise DataError(
                f"read_parquet: damaged, or not Parquet: got {str(error)!r:.100} in {file}; choose another file, or "
                f"write it again"
            ) from None
    return Table.from_dataframe(frame, source=str(file))
