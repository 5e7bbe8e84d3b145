"""Make tables, curves, figures and one page of any number of results files.

    python -m jaxrecon.report --results results/knee,results/brain,runs/other/results.json \
        --output report --names e2e_varnet=E2E-VarNet,cmr_clip=CMR-CLIP
    python -m jaxrecon.report --trajectories scans/inr_tv,scans/inr_semantic --output report

`--results` lists results files of `evaluate` and `train`, or folders that hold one. Written are
`index.html`, a page that needs no network and no other file; `tables/` in Markdown, LaTeX and CSV;
`curves/` of every measure against the effective acceleration; and `figures/` of example images.
Methods NAME_tv and NAME_semantic are held against each other in a table of their own.

`--trajectories` lists trajectories of `reconstruct`, or folders that hold a `trajectory.h5`; with
or without results. Into `trajectories/` go the pictures of one slice over the steps, maps of its
embeddings, and its losses; and where trajectories of one scan differ in their prompts, the spread
of the last images over the prompts.

Numbers that were not made in the same way (protocol, crop, mask family, judged files) are not put
into one table unless `--mix_protocols` is given; every line then says how it was judged.
"""

from pathlib import Path

from absl import flags

from jaxrecon import command_line
from jaxrecon.errors import InputError
from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.examples import load_examples, take_turns
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.pair_table import make_pair_tables
from jaxrecon.reporting.report_files import report_files, write_files
from jaxrecon.reporting.shown_trajectory import load_trajectories
from jaxrecon.reporting.tables import make_tables
from jaxrecon.reporting.zoom_box import parse_zoom

# The program's own, so that it can be imported beside other programs.
_FLAGS = flags.FlagValues()
_RESULTS = flags.DEFINE_list(
    "results", [], "Results files, or folders that hold one.", flag_values=_FLAGS
)
_TRAJECTORIES = flags.DEFINE_list(
    "trajectories",
    [],
    "Trajectories, or folders that hold one; may be given without --results.",
    flag_values=_FLAGS,
)
_TRAJECTORY_SLICE = flags.DEFINE_integer(
    "trajectory_slice",
    None,
    "Slice of each trajectory to show, from 0; by default the middle one.",
    lower_bound=0,
    flag_values=_FLAGS,
)
_OUTPUT = flags.DEFINE_string("output", "report", "Folder to write to.", flag_values=_FLAGS)
_TITLE = flags.DEFINE_string(
    "title", "Reconstruction results", "Title of the page.", flag_values=_FLAGS
)
_NAMES = flags.DEFINE_list(
    "names", [], "What to call methods, as name=Name To Show.", flag_values=_FLAGS
)
_BASELINE = flags.DEFINE_string(
    "baseline",
    None,
    "Method, by the name shown, that others are tested against; by default the best method of a "
    "column is tested against all others.",
    flag_values=_FLAGS,
)
_MIX_PROTOCOLS = flags.DEFINE_bool(
    "mix_protocols",
    False,
    "Allow results of several protocols, crops, mask families or sets of files in one table.",
    flag_values=_FLAGS,
)
_EXAMPLES = flags.DEFINE_integer(
    "examples", 8, "Largest number of example slices; 0: none.", lower_bound=0, flag_values=_FLAGS
)
_ZOOM = flags.DEFINE_string(
    "zoom",
    None,
    "Enlarged box of example images as row,column,size in pixels, from the upper left corner; by "
    "default where the target's gradient has the most energy.",
    flag_values=_FLAGS,
)
_PDF = flags.DEFINE_bool("pdf", False, "Write figures as PDF, too.", flag_values=_FLAGS)


def _names() -> dict[str, str]:
    names = {}
    for entry in _NAMES.value:
        method, equals, shown = entry.partition("=")
        if not equals or not method.strip() or not shown.strip():
            raise InputError(f"--names: expected name=Name To Show, found {entry!r}")
        names[method.strip()] = shown.strip()
    if len(set(names.values())) < len(names):
        raise InputError(f"--names: expected different names, found {','.join(_NAMES.value)}")
    return names


def main() -> int:
    """Run the program."""
    if not _RESULTS.value and not _TRAJECTORIES.value:
        raise InputError("--results: expected results files, found none, nor --trajectories")
    output = Path(_OUTPUT.value)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: expected a folder to write to, found a file")
    zoom = None if _ZOOM.value is None else parse_zoom(_ZOOM.value)
    files = load_results([Path(path) for path in _RESULTS.value])
    measurements = comparable_measurements(
        files, mix_protocols=_MIX_PROTOCOLS.value, names=_names()
    )
    tables = make_tables(measurements, baseline=_BASELINE.value)
    examples = load_examples(files, measurements, zoom=zoom)
    shown = take_turns(examples, _EXAMPLES.value)
    trajectories = load_trajectories(
        [Path(path) for path in _TRAJECTORIES.value], _TRAJECTORY_SLICE.value
    )

    contents = report_files(
        _TITLE.value,
        files,
        tables,
        shown,
        pair_tables=make_pair_tables(measurements),
        trajectories=trajectories,
        pdf=_PDF.value,
    )
    write_files(output, contents)
    for kind in ("tables", "curves", "figures", "trajectories"):
        number = sum(name.startswith(f"{kind}/") for name in contents)
        print(f"{kind}: {number} files in {output / kind}" if number else f"{kind}: none")
    megabytes = len(contents["index.html"]) / 1e6
    slices = f"{len(shown)} of {len(examples)} example slices"
    print(f"page: {output / 'index.html'}, {megabytes:.1f} MB, {slices}")
    return command_line.DONE


if __name__ == "__main__":
    command_line.run(main, _FLAGS)
