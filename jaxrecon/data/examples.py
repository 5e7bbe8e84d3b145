"""From a slice as its file stores it to what a network is trained and judged on."""

import numpy as np
from jaxtyping import Shaped

from jaxrecon.data.volume import RawSlice, Volume
from jaxrecon.errors import InputError
from jaxrecon.physics.cropping import center_crop, center_pad
from jaxrecon.physics.sampling import SamplingMask

Example = dict[str, Shaped[np.ndarray, "..."]]


def example_mask(
    volume: Volume, own: SamplingMask | None, drawn: SamplingMask | None
) -> SamplingMask:
    """The mask in force: the file's own if it has one, without the columns never acquired.

    Raises:
        InputError: there is neither, or it is of another size than the k-space.
    """
    chosen = drawn if own is None else own
    if chosen is None:
        raise InputError(f"{volume.path}: expected a mask for fully sampled k-space, found none")
    rows, width = chosen.pattern.shape
    if rows not in (1, volume.height) or width != volume.width:
        raise InputError(
            f"{volume.path}: expected a mask for k-space of {volume.height} x {volume.width}, "
            f"found one of {rows} x {width}"
        )
    if volume.padding == (0, volume.width):
        return chosen
    return chosen.within(*volume.padding)


def make_example(
    volume: Volume,
    raw: RawSlice,
    mask: SamplingMask | None,
    *,
    coils: int | None = None,
    data_range: str = "volume",
    slice_id: int = 0,
    weight: float = 1.0,
) -> Example:
    """Undersample a slice and place its target.

    Args:
        volume: the file the slice is from.
        raw: the slice, with its target.
        mask: undersamples the k-space, unless the file is already undersampled.
        coils: coils to fill up to with zero coils, which no sum over coils notices.
        data_range: what image metrics take as the range of values: the maximum of the target over
            the "volume", or over this "slice".
        slice_id: handed on.
        weight: handed on; 0 for an example that only fills a batch.

    Returns:
        `kspace` complex64 (coils, H, W), zero where not sampled; `mask` bool (1 or H, W); `acs`
        int32; `target` float32 (H, W), the target cropped to at most (H, W), in the centre of
        zeros; `crop` int32 (2,), the height and width of the region that is target; `data_range`
        float32, positive; `slice_id` int32; `weight` float32.

    Raises:
        InputError: no target, no mask, no positive data range, or more coils than `coils`.
    """
    if raw.target is None:
        raise InputError(
            f"{volume.path}: expected a target, found undersampled k-space without one"
        )
    if data_range not in ("volume", "slice"):
        raise InputError(f"data_range: expected 'volume' or 'slice', found {data_range!r}")
    value_range = volume.maximum if data_range == "volume" else float(raw.target.max())
    if value_range is None or not value_range > 0:
        raise InputError(
            f"{volume.path}: expected a positive maximum of the {data_range}'s target, "
            f"found {value_range}"
        )
    present, height, width = raw.kspace.shape
    coils = present if coils is None else coils
    if coils < present:
        raise InputError(f"{volume.path}: expected at most {coils} coils, found {present}")
    sampling = example_mask(volume, raw.mask, mask)
    kspace = np.zeros((coils, height, width), np.complex64)
    np.multiply(raw.kspace, sampling.pattern, out=kspace[:present])
    rows, columns = raw.target.shape
    image = center_crop(raw.target, min(rows, height), min(columns, width))
    return {
        "kspace": kspace,
        "mask": sampling.pattern,
        "acs": np.array(sampling.acs, np.int32),
        "target": center_pad(image, height, width),
        "crop": np.array(image.shape, np.int32),
        "data_range": np.array(value_range, np.float32),
        "slice_id": np.array(slice_id, np.int32),
        "weight": np.array(weight, np.float32),
    }
