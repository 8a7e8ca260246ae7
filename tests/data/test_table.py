"""Reading CSV files: what is accepted, and one clear error for what is not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassgrad.data import Table, read_csv
from glassgrad.errors import DataError, GlassgradError


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def columns(table: Table) -> dict[str, list[str]]:
    return {name: list(table[name]) for name in table.names}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_endings(tmp_path: Path, delimiter: str, ending: str) -> None:
    text = ending.join(delimiter.join(row) for row in (["a", "b"], ["1", "x y"], ["2", ""])) + ending
    assert columns(read_csv(write(tmp_path, text))) == {"a": ["1", "2"], "b": ["x y", ""]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2,5\n", {"a": ["1,5"], "b": ["2,5"]}),  # commas inside numbers do not make the comma win
        ('"a;1","b;2"\n3,4\n', {"a;1": ["3"], "b;2": ["4"]}),
        ("only\n1\n2\n", {"only": ["1", "2"]}),
        ('a, b\n1, "x, y"\n', {"a": ["1"], "b": ["x, y"]}),
        ('a,b\n"line\nbreak","say ""hi"""\n', {"a": ["line\nbreak"], "b": ['say "hi"']}),
        ("\ufeffa,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ('\ufeff"a",b\n1,2\n', {"a": ["1"], "b": ["2"]}),
        ("\n\na,b\n\n1,2\n\n", {"a": ["1"], "b": ["2"]}),
        (",x\n0,5\n1,6\n", {"unnamed_0": ["0", "1"], "x": ["5", "6"]}),
        (" städte ,größe\nKöln,1\n", {"städte": ["Köln"], "größe": ["1"]}),
        ("a,b\n1,2", {"a": ["1"], "b": ["2"]}),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, expected: dict[str, list[str]]) -> None:
    assert columns(read_csv(write(tmp_path, text))) == expected


def test_without_a_header(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, "1,2\n3,4\n"), header=False)
    assert columns(table) == {"column_0": ["1", "3"], "column_1": ["2", "4"]}


def test_given_delimiter(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a|b\n1|2\n"), delimiter="|").names == ("a", "b")
    with pytest.raises(DataError, match="bad delimiter: got '::'"):
        read_csv(write(tmp_path, "a\n1\n"), delimiter="::")


def test_lines_are_where_rows_start(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, 'a,b\n1,"x\ny"\n\n2,z\n'))
    assert table.lines.tolist() == [2, 5]
    assert table.where(1).endswith("data.csv:5")
    assert table.take([1]).where(0) == table.where(1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty: got 0 bytes"),
        ("\n\n\n", "is empty: got only blank lines"),
        ("a,b\n", "has no data: got only a header row"),
        ("a,b\n1,2\n3\n", r"got 1 field at .*data\.csv:3, expected 2"),
        ("a,b\n1,2\n3,4,5\n", r"got 3 fields at .*data\.csv:3, expected 2"),
        ("a,b, a\n1,2,3\n", r"name is repeated: got 'a' more than once at .*:1"),
        (b"a,b\n1,2\n3,caf\xe9\n", r"not UTF-8: got byte 0xe9 at .*data\.csv:3.*iconv"),
        ("a,b\n1,2\n".encode("utf-16"), r"is UTF-16 text: .*iconv -f utf-16 -t utf-8 .*data\.csv > data-utf8"),
        ("\ufeffa,b\n1,2\n".encode("utf-16-be"), r"is UTF-16 text: .*iconv -f utf-16 -t utf-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), "is UTF-16LE text: .*iconv -f utf-16le "),
        ("größe,b\n1,2\n".encode("utf-16-be"), "is UTF-16BE text: .*iconv -f utf-16be "),
        (b"a,b\n1,\0\n", "NUL characters"),
        ('a,b\n1,"2\n3,4\n', r"bad record: got .* at .*data\.csv:2"),
        ("a,b\n1," + "x" * 200_000 + "\n", r"a field is too long: got more than 131072 characters .*data\.csv:2"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, "a\n1\n", "houses.csv")
    with pytest.raises(DataError, match=r"no such file: got .*house\.csv.*did you mean houses\.csv\?"):
        read_csv(tmp_path / "house.csv")
    with pytest.raises(DataError, match="no such file"):
        read_csv(tmp_path / "no" / "folder" / "x.csv")
    with pytest.raises(DataError, match="not a file"):
        read_csv(tmp_path)
    with pytest.raises(ValueError):  # the builtin that callers may already catch
        read_csv(tmp_path)
    with pytest.raises(GlassgradError):
        read_csv(tmp_path)


def test_a_column_that_is_not_there() -> None:
    table = Table.from_columns({"Price": [1], "rooms": [2]})
    with pytest.raises(DataError, match=r"column 'price' .*got columns 'Price', 'rooms'; did you mean 'Price'\?"):
        table["price"]
    with pytest.raises(DataError, match="target column 'xyz' .* use one of these"):
        table.require("xyz", what="target column")
    with pytest.raises(DataError, match="header=False"):
        Table.from_columns({"5.1": [1], "3.5": [2]})["species"]


def test_messages_stay_short_whatever_the_file_holds(tmp_path: Path) -> None:
    name = "n" * 100_000
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, f"{name},b\n1,2\n"))["b" * 100_000]
    assert len(str(caught.value)) < 1000


def test_take_and_drop() -> None:
    table = Table.from_columns({"a": [1, 2, 3], "b": [None, "x", True]})
    assert columns(table.take([2, 0])) == {"a": ["3", "1"], "b": ["True", ""]}
    assert table.drop("a").names == ("b",)
    with pytest.raises(DataError, match="'c'"):
        table.drop("c")
    with pytest.raises(DataError, match="differ in length"):
        Table.from_columns({"a": [1], "b": [1, 2]})


# NUL never occurs in a text table; a surrogate is not text
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), delimiter=st.sampled_from(",;\t"), mark=st.booleans())
def test_what_csv_writes_is_read_back(tmp_path: Path, data: st.DataObject, delimiter: str, mark: bool) -> None:
    width = data.draw(st.integers(1, 4))
    names = data.draw(
        st.lists(_text.map(str.strip).filter(bool), min_size=width, max_size=width, unique=True).filter(
            lambda n: not n[0].startswith("\ufeff")
        )
    )
    rows = data.draw(st.lists(st.lists(_text, min_size=width, max_size=width), min_size=1, max_size=6))
    path = tmp_path / "data.csv"
    with path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    assert columns(read_csv(path, delimiter=delimiter)) == dict(
        zip(names, map(list, zip(*rows, strict=True)), strict=True)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_give_a_table_or_a_data_error(tmp_path: Path, content: bytes) -> None:
    try:
        table = read_csv(write(tmp_path, content))
    except DataError:
        return
    assert len(table) > 0
