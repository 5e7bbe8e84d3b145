import jax.numpy as jnp

from jaxrecon.training.parameter_table import count_parameters, megabytes, parameter_table

VARIABLES = {
    "params": {
        "cascades": {"refinement": {"kernel": jnp.zeros((250, 1000))}, "step": jnp.zeros(12)},
        "scale": jnp.zeros(()),
    },
    "frozen": {"encoder": {"weights": jnp.zeros(2_000_000, jnp.bfloat16)}},
}


def test_counts_and_sizes():
    assert count_parameters(VARIABLES["params"]) == 250_013
    assert megabytes(VARIABLES["params"]) == 4 * 250_013 / 1e6
    assert megabytes(VARIABLES["frozen"]) == 4.0


def test_the_table_has_a_line_per_part_and_a_sum_per_collection():
    rows = [line.split() for line in parameter_table(VARIABLES).splitlines()]
    assert rows == [
        ["module", "parameters", "MB"],
        ["cascades/refinement", "250,000", "1.0", "trainable"],
        ["cascades/step", "12", "0.0", "trainable"],
        ["scale", "1", "0.0", "trainable"],
        ["all", "250,013", "1.0", "trainable"],
        ["encoder/weights", "2,000,000", "4.0", "frozen"],
        ["all", "2,000,000", "4.0", "frozen"],
    ]
