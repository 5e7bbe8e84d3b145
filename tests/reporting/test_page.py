import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
import results_files
import trajectories
from jinja2 import UndefinedError

from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.examples import load_examples
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.page import Section, render_page
from jaxrecon.reporting.pair_table import make_pair_tables
from jaxrecon.reporting.report_files import report_files, write_files
from jaxrecon.reporting.tables import make_tables

_EMPTY = {"meta", "link", "img", "input", "br"}


class _Outline(HTMLParser):
    """Elements of a page, and whether every one is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


def _page(tmp_path, rows, examples=(), followed=(), **changes):
    path = results_files.write(tmp_path, rows, examples=examples, **changes)
    files = load_results([path])
    found = comparable_measurements(files)
    contents = report_files(
        "A title",
        files,
        make_tables(found),
        load_examples(files, found),
        pair_tables=make_pair_tables(found),
        trajectories=[trajectories.shown(each) for each in followed],
    )
    return contents["index.html"].decode()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rows = [
        results_files.row(method, acceleration=acceleration, effective_acceleration=effective)
        for acceleration, effective in ((4.0, 3.2), (8.0, 5.1))
        for method in ("zero_filled", "net", "other", "inr_tv", "inr_semantic")
    ]
    followed = [
        trajectories.made(f"inr_{prior}", prior=prior != "tv", kept=3)
        for prior in ("tv", "semantic")
    ]
    return _page(tmp_path_factory.mktemp("page"), rows, [results_files.example()], followed)


def test_the_page_is_well_formed_and_its_identifiers_are_unique(page):
    outline = _Outline(page)
    assert outline.open == []
    identities = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert len(set(identities)) == len(identities)
    for tag, attributes in outline.found:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, identities[0]) in identities, (tag, attributes)
        if tag == "a":
            assert attributes["href"].removeprefix("#") in identities


def test_the_page_refers_to_nothing_outside(page):
    for tag, attributes in _Outline(page).found:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, name, address[:80])
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    (policy,) = [
        attributes["content"]
        for tag, attributes in _Outline(page).found
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_page_allows_itself_its_own_script_only(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_the_page_says_where_its_numbers_come_from(page):
    text = " ".join(_Outline(page).text)
    for part in ("ab12" * 16, "cd34" * 16, '"cascades": 12', "c84067e51b2d", "file1.h5 (2 slices)"):
        assert part in text
    assert "Zero-filled (zero_filled), net, other" in text
    for part in ("effective acceleration", "all slices over the target's crop", "runs"):
        assert part in text.lower()


def test_a_training_run_s_own_provenance_is_shown(tmp_path):
    provenance = {"config": {"name": "my net"}, "checkpoint_sha256": "ef" * 32, "commit": "abc"}
    text = " ".join(_Outline(_page(tmp_path, [results_files.row()], provenance=provenance)).text)
    for part in ("my net", "ef" * 32, "abc"):
        assert part in text


def test_text_of_results_files_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
    rows = [
        results_files.row(evil, dataset=evil, mask=evil, subset=evil, data=evil, anatomy=evil),
        results_files.row("b", dataset=evil, mask=evil, subset=evil, data=evil, anatomy=evil),
    ]
    example = results_files.example((evil, "b"), data_set=evil, file=evil, mask=evil)
    provenance = {"commit": evil, "runs": {evil: {"config": {evil: evil}, "encoder": evil}}}
    page = _page(tmp_path, rows, [example], provenance=provenance)
    outline = _Outline(page)
    assert outline.open == []
    assert [tag for tag, _ in outline.found].count("script") == 1
    assert not any("onerror" in attributes for _, attributes in outline.found)
    assert evil in " ".join(outline.text)


def test_simulated_data_are_marked(tmp_path, page):
    assert "simulated data" not in page
    rows = [results_files.row(data="simulated: phantom of ellipses")]
    assert "simulated data" in _page(tmp_path, rows)


def test_every_image_has_a_description(page):
    images = [attributes for tag, attributes in _Outline(page).found if tag == "img"]
    for attributes in images:
        # Those of the slider are filled, and described, by the script.
        assert attributes["alt"] or "src" not in attributes
    assert any(attributes.get("src", "").startswith("data:image/webp") for attributes in images)


def test_without_examples_the_page_has_no_such_section(tmp_path):
    page = _page(tmp_path, [results_files.row()])
    assert 'id="examples"' not in page
    assert 'id="tables"' in page


def test_a_section_is_a_template_and_what_fills_it():
    files = [
        {
            "number": 1,
            "path": "<a>",
            "summary": "",
            "fields": [],
            "blocks": [],
            "settings": [],
            "runs": [],
        }
    ]
    section = Section("mine", "My <section>", "provenance.html.j2", {"files": files})
    page = render_page("T", ["one"], [section])
    assert 'href="#mine"' in page
    assert "My &lt;section&gt;" in page
    assert "[1] &lt;a&gt;" in page
    with pytest.raises(UndefinedError):
        render_page("T", [], [Section("mine", "Mine", "provenance.html.j2", {})])


def test_the_same_results_make_the_same_page(tmp_path, page):
    rows = [results_files.row("zero_filled"), results_files.row("net")]
    first = _page(tmp_path, rows, [results_files.example()])
    assert _page(tmp_path, rows, [results_files.example()]) == first


def test_files_are_written_whole_and_others_left_alone(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "notes.txt").write_text("mine")
    contents = {"tables/a.md": b"table", "index.html": b"page"}
    write_files(tmp_path / "report", contents)
    found = {
        str(path.relative_to(tmp_path / "report")): path.read_bytes()
        for path in (tmp_path / "report").rglob("*")
        if path.is_file()
    }
    assert found == {**contents, "notes.txt": b"mine"}
