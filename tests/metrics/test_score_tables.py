import csv

import pytest
from pyarrow import parquet

from jaxrecon.errors import InputError
from jaxrecon.metrics import score_tables
from jaxrecon.metrics.score_tables import require_format, write_table

RECORDS = [
    {"method": "zero_filled", "center_fraction": None, "slice": 3, "ssim": 0.1 + 0.2},
    {"method": "net", "center_fraction": None, "slice": 4, "ssim": float("inf"), "lpips": 0.25},
]


def test_csv_keeps_every_digit(tmp_path):
    write_table(tmp_path / "scores.csv", RECORDS)
    with (tmp_path / "scores.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == ["method", "center_fraction", "slice", "ssim", "lpips"]
    assert float(first["ssim"]) == 0.1 + 0.2
    assert (first["center_fraction"], first["lpips"], second["slice"]) == ("", "", "4")
    assert second["ssim"] == "inf"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_parquet_keeps_types(tmp_path):
    write_table(tmp_path / "scores.parquet", RECORDS)
    found = parquet.read_table(tmp_path / "scores.parquet").to_pylist()
    assert found == [{**RECORDS[0], "lpips": None}, RECORDS[1]]


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match="table format: expected csv or parquet, found 'xlsx'"):
        write_table(tmp_path / "scores.xlsx", RECORDS)


def test_parquet_without_pyarrow_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setitem(score_tables.__dict__["__builtins__"], "__import__", _no_pyarrow)
    with pytest.raises(InputError, match="expected the package pyarrow for parquet"):
        require_format("parquet")
    require_format("csv")


def _no_pyarrow(name, *arguments, _import=__import__):
    if name.startswith("pyarrow"):
        raise ImportError(name)
    return _import(name, *arguments)
