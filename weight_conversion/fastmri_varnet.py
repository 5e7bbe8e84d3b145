r"""Convert an E2E-VarNet of the reference implementation (PyPI `fastmri`).

    python -m weight_conversion.fastmri_varnet --source knee_leaderboard_state_dict.pt \
        --output weights/fastmri_knee

reads the state dict of `fastmri.models.VarNet`, as the published knee and brain leaderboard
checkpoints hold it, or a Lightning checkpoint of `fastmri.pl_modules.VarNetModule`, and writes
`weights.safetensors` and `spec.json`. The architecture is read off the shapes. Evaluate it with
`python -m jaxrecon.evaluate --weights weights/fastmri_knee ...`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrecon.errors import InputError
from jaxrecon.models.build import parameter_shapes
from jaxrecon.weight_store import file_sha256
from weight_conversion import output_folder, program
from weight_conversion.rules import Rule, conv_kernel, convert, scalar, transposed_conv_kernel
from weight_conversion.sources import read_state_dict

CONVERTER = "fastmri_varnet 1"


def _unet_rules(source: str, target: str, pools: int) -> list[Rule]:
    """Rules of one U-Net; `source` is a regular expression, levels count from the input down."""
    rules = [
        Rule(
            rf"{source}\.down_sample_layers\.(?P<level>\d+)\.layers\.{layer}\.weight",
            rf"{target}/down\g<level>/conv{position}/kernel",
            conv_kernel,
        )
        for position, layer in enumerate((0, 4))
    ]
    for position, layer in enumerate((0, 4)):
        rules.append(
            Rule(
                rf"{source}\.conv\.layers\.{layer}\.weight",
                f"{target}/bottom/conv{position}/kernel",
                conv_kernel,
            )
        )
    for step in range(pools):
        level = pools - 1 - step
        rules.append(
            Rule(
                rf"{source}\.up_transpose_conv\.{step}\.layers\.0\.weight",
                f"{target}/expand{level}/kernel",
                transposed_conv_kernel,
            )
        )
        # The reference wraps its last block together with the head.
        block = rf"{source}\.up_conv\.{step}" + (r"\.0" if level == 0 else "")
        rules += [
            Rule(
                rf"{block}\.layers\.{layer}\.weight",
                f"{target}/up{level}/conv{position}/kernel",
                conv_kernel,
            )
            for position, layer in enumerate((0, 4))
        ]
    head = rf"{source}\.up_conv\.{pools - 1}\.1"
    rules.append(Rule(rf"{head}\.weight", f"{target}/head/kernel", conv_kernel))
    rules.append(Rule(rf"{head}\.bias", f"{target}/head/bias"))
    return rules


def rules(pools: int, sensitivity_pools: int) -> list[Rule]:
    """The conversion table of a VarNet of so many poolings."""
    return [
        *_unet_rules(r"sens_net\.norm_unet\.unet", "sensitivity/norm_unet/unet", sensitivity_pools),
        *_unet_rules(r"cascades\.(?P<stack>\d+)\.model\.unet", "cascades/refinement/unet", pools),
        Rule(r"cascades\.(?P<stack>\d+)\.dc_weight", "cascades/step", scalar),
    ]


def architecture(source: Mapping[str, np.ndarray], name: str) -> dict[str, Any]:
    """Model configuration of a VarNet's state dict, read off its keys and shapes.

    Raises:
        InputError: it is not a VarNet.
    """

    def unet(prefix: str) -> tuple[int, int]:
        first = f"{prefix}.down_sample_layers.0.layers.0.weight"
        if first not in source or source[first].ndim != 4:
            raise InputError(
                f"{name}: expected the state dict of a fastmri VarNet with {first}, "
                f"found {len(source)} entries such as {next(iter(source))}"
            )
        pattern = re.escape(prefix) + r"\.down_sample_layers\.\d+\.layers\.0\.weight"
        return source[first].shape[0], sum(bool(re.fullmatch(pattern, key)) for key in source)

    channels, pools = unet("cascades.0.model.unet")
    sensitivity_channels, sensitivity_pools = unet("sens_net.norm_unet.unet")
    return {
        "name": "varnet",
        "cascades": sum(bool(re.fullmatch(r"cascades\.\d+\.dc_weight", key)) for key in source),
        "dtype": "float32",
        "refinement": {"name": "norm_unet", "channels": channels, "pools": pools},
        "sensitivity": {"channels": sensitivity_channels, "pools": sensitivity_pools},
    }


def convert_varnet(
    source: Mapping[str, np.ndarray], name: str = "state dict"
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Convert a state dict of `fastmri.models.VarNet`.

    Args:
        source: arrays by key; keys may carry the prefix `varnet.` or `module.`, and a Lightning
            module's other entries (its loss and metrics) are left out.
        name: the source, for messages.

    Returns:
        Parameters by "/"-joined path and the model's configuration.

    Raises:
        InputError: naming every entry that does not fit.
    """
    for prefix in ("module.", "varnet."):
        inside = {k.removeprefix(prefix): v for k, v in source.items() if k.startswith(prefix)}
        source = inside or source
    model = architecture(source, name)
    table = rules(model["refinement"]["pools"], model["sensitivity"]["pools"])
    return convert(source, table, parameter_shapes(model), name=name), model


def convert_file(source: str, output: Path) -> None:
    """Convert a file and write the folder of weights.

    Args:
        source: state dict or Lightning checkpoint.
        output: folder to write.

    Raises:
        InputError: the file is not a VarNet's.
    """
    path = Path(source)
    parameters, model = convert_varnet(read_state_dict(path), source)
    spec = {
        "model": model,
        "source": path.name,
        "source_sha256": file_sha256(path),
        "converter": CONVERTER,
    }
    output_folder.write(output, parameters, spec)
    count = sum(array.size for array in parameters.values())
    print(f"wrote {output}: {count:,} parameters, {model['cascades']} cascades")


if __name__ == "__main__":
    program.run(convert_file)
