import sys

import pytest

from jaxrecon.data import cmrxrecon, fastmri
from jaxrecon.data.layouts import known_layouts, layout
from jaxrecon.errors import InputError


def test_finds_the_layouts_of_the_package():
    assert layout("fastmri") is fastmri
    assert layout("cmrxrecon") is cmrxrecon
    assert known_layouts() == ["cmrxrecon", "fastmri"]


def test_finds_a_module_outside_the_package(tmp_path, monkeypatch):
    names = ("find_files", "inspect", "read_slice", "volume_maximum", "write_volume")
    source = "\n".join(f"def {name}(): pass" for name in names)
    (tmp_path / "their").mkdir()
    (tmp_path / "their" / "layout.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert layout("their.layout") is sys.modules["their.layout"]


@pytest.mark.parametrize("name", ["fastmir", "volume", "no.such.module", "jaxrecon.errors", ""])
def test_other_names_list_the_known_ones(name):
    with pytest.raises(InputError, match="expected one of cmrxrecon, fastmri") as caught:
        layout(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_layout_that_fails_to_import_says_what_it_lacks(tmp_path, monkeypatch):
    (tmp_path / "broken_layout_package").mkdir()
    (tmp_path / "broken_layout_package" / "layout.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        layout("broken_layout_package.layout")
