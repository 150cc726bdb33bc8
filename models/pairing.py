"""What belongs together: a bench, the masks that it shows, and the student that learned for it."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import FourOpticsError
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.units import show
from models.student import Student, StudentConfig

DISPLAY = ("coding", "gamma", "contrast")  #: keys of ``[input]`` that a student learns with


def check_readout(config: FourFConfig) -> None:
    """Refuse a bench that is read in a way, or has light, that no student learns with.

    Raises
    ------
    FourOpticsError
        If light with a spectrum is not read as intensity, its coherence is not that of the readout, or the reference is
        tilted.
    """
    kind, light, reference = config.readout.kind, config.light, config.reference
    if light.spectrum and kind != "intensity":
        raise FourOpticsError(
            f"light.spectrum: lines add their intensities, readout.kind = {kind!r} is of one wavelength; take "
            "'intensity', or leave the spectrum out"
        )
    needed = "incoherent" if kind == "split" else "coherent"
    if light.coherence != needed:
        raise FourOpticsError(
            f"light.coherence = {light.coherence!r}: students learn readout.kind = {kind!r} with {needed} light; "
            f"set it to {needed!r}, or take another readout ('split' is the one of incoherent light)"
        )
    if kind in readout.STEPS and reference and any(reference.tilt):
        tilt = " and ".join(show(angle, "angle") for angle in reference.tilt)
        raise FourOpticsError(f"reference.tilt = {tilt}: students learn with a reference along the axis; leave it out")


def for_bench(student: StudentConfig, bench: FourFConfig) -> StudentConfig:
    """Return the student that learns with the readout, coding, gamma, contrast and spectrum of a bench.

    Raises
    ------
    ConfigError
        If this student cannot learn with that readout.
    FourOpticsError
        As `check_readout`, if the student has spectral pooling, or not a channel for each line of the light.
    """
    check_readout(bench)
    check_front(student)
    here = {"readout": bench.readout.kind} | {key: getattr(bench.input, key) for key in DISPLAY}
    here["channel_sum"] = "intensity" if bench.light.spectrum else "amplitude"
    check_spectrum(bench, student.model_copy(update=here))
    return StudentConfig.model_validate(student.model_dump() | here)


def check_pairing(bench: FourF, masks: MaskSet, student: Student) -> None:
    """Refuse a bench or masks that are not made for this student.

    Raises
    ------
    FourOpticsError
        If the kernels of the masks are not the student's, or as `check_learned`.
    """
    config, table, wanted = bench.config, masks.kernels, merged_kernels(student).numpy()
    kernels, halves = np.stack([table.weight[rows] for rows in rows_by_channel(table)], 1), 1 + (table.sign != 0).any()
    if halves == 2 and len(kernels) % 2 == 0:
        kernels = kernels[: len(kernels) // 2] - kernels[len(kernels) // 2 :]
    close = {"rtol": 1e-6, "atol": 1e-6 * np.abs(wanted).max()}
    if kernels.shape != wanted.shape or not np.allclose(kernels, wanted, **close):
        held, own = (f"{len(part)} kernels of {part.shape[1]} input channels" for part in (kernels, wanted))
        raise FourOpticsError(f"the masks hold {held} that are not the student's {own}: take the masks of its run")
    if wanted.shape[1] > 1:
        check_channels(table)
    if halves != (2 if config.readout.kind == "split" else 1):
        held = "halves of kernels, for readout 'split'" if halves == 2 else "whole kernels, and readout 'split' halves"
        raise FourOpticsError(
            f"readout.kind = {config.readout.kind!r}: the masks hold {held}; compile them for this bench"
        )
    check_learned(config, student.config)


def check_learned(bench: FourFConfig, student: StudentConfig) -> None:
    """Refuse a bench whose readout, coding, gamma, contrast or lines are not what the student was trained with.

    Raises
    ------
    FourOpticsError
        Names the key and both values.
    """
    check_spectrum(bench, student)
    pairs = {"readout.kind": (bench.readout.kind, student.readout)}
    pairs |= {f"input.{key}": (getattr(bench.input, key), getattr(student, key)) for key in DISPLAY}
    for key, values in pairs.items():
        here, learned = ("left out" if value is None else f"= {value!r}" for value in values)
        if here != learned:
            raise FourOpticsError(
                f"{key} {here}, the student learned with {key} {learned}: change the bench file, or train a student "
                "for this bench"
            )


def check_spectrum(bench: FourFConfig, student: StudentConfig) -> None:
    """Refuse a spectrum that has not one line for each channel whose intensity the student adds.

    Raises
    ------
    FourOpticsError
        Says how many there are of both.
    """
    lines, wanted = len(bench.light.spectrum), student.channels if student.channel_sum == "intensity" else 0
    if lines and (student.channels == 1 or lines != student.channels):
        raise FourOpticsError(
            f"light.spectrum has {lines} lines, the images have {student.channels} channels: two or more channels take "
            "a line each; change the spectrum, or leave it out"
        )
    if lines != wanted:
        raise FourOpticsError(
            f"light.spectrum has {lines} lines, the student learned with channel_sum = {student.channel_sum!r}, which "
            f"takes {wanted}: change the bench file, or train a student for this bench"
        )


def check_channels(table: KernelTable) -> None:
    """Refuse masks whose light one bench does not add over the input channels.

    Raises
    ------
    FourOpticsError
        If they have no layout of several channels, or the kernels of an output do not share a window.
    """
    rows = rows_by_channel(table)
    if table.place is None and table.wavelength is None:
        raise FourOpticsError(
            f"the masks hold kernels of {len(rows)} channels and show none of them side by side or in light of its "
            "own: compile them with layout = input_tiling, or wavelengths"
        )
    tiles = np.stack([table.tile[mine] for mine in rows])
    if (tiles != tiles[0]).any():
        raise FourOpticsError(
            "the channels of an output have windows (tile) of their own, whose light no camera adds; compile the "
            "masks again"
        )


def check_lines(bench: FourF, table: KernelTable) -> None:
    """Refuse a bench whose lines are not those of the masks, or show images of different sizes.

    Raises
    ------
    FourOpticsError
        Names the wavelengths, or the key.
    """
    lines = [line for _, line in bench.lines]
    made = [] if table.wavelength is None else [table.wavelength[rows[0]] for rows in rows_by_channel(table)]
    here = [line.wavelength for line in lines] if bench.config.light.spectrum else []
    if len(made) != len(here) or not np.allclose(made, here, rtol=1e-6, atol=0):
        masks, light = (", ".join(show(line, "length") for line in lines) or "no lines" for lines in (made, here))
        raise FourOpticsError(f"the masks are for {masks}, the light has {light}: make light.spectrum the first")
    sizes = [line.config.magnification / bench.config.magnification for line in lines]
    if not np.allclose(sizes, 1, rtol=1e-6, atol=0):
        raise FourOpticsError(
            "focal_slope of lens1 and lens2: images of different lines have different sizes, no student learns that; "
            "make focal_slope / focal_length the same for both lenses"
        )


def check_weights(bench: FourF, table: KernelTable) -> None:
    """Refuse lines so bright that the camera does not add up what the masks were made for.

    What a channel of an output counts is its photons over the square of the kernel's scale.

    Raises
    ------
    FourOpticsError
        Gives the weights.
    """
    lines = bench.lines
    photons = np.array([[share * line.wavelength] for share, line in lines])
    scale = np.stack([table.scale[rows] for rows in rows_by_channel(table)])
    counts = photons / scale**2
    if not np.allclose(counts / counts[0], 1, rtol=1e-3, atol=0):
        given = [weight for _, weight in bench.config.light.spectrum]
        needed = given / (counts[:, 0] / counts[0, 0])
        here, made = (", ".join(f"{weight:.4g}" for weight in weights) for weights in (given, needed))
        raise FourOpticsError(
            f"light.spectrum has the weights {here}, the masks are for {made}: give the lines those, or compile the "
            "masks for this bench"
        )


def check_front(student: StudentConfig) -> None:
    """Refuse a student whose layers do not merge into kernels: those with spectral pooling.

    Raises
    ------
    FourOpticsError
        Says what the layers are instead.
    """
    if student.rectified:
        raise FourOpticsError(
            "rectified = true: values below 0 are dropped between the layers, which no light does; leave rectified and "
            "bands out"
        )
    if student.bands is not None:
        raise FourOpticsError(
            f"bands = {list(student.bands)}: spectral pooling merges into masks and not into kernels, and the bench "
            "takes kernels; leave bands out"
        )


def merged_kernels(student: Student) -> Tensor:
    """Merged kernels (K, C, k, k) of a student; errors as `check_front`."""
    check_front(student.config)
    return student.collapse()


def output_rows(table: KernelTable) -> list[int]:
    """Rows of a kernel table in the order of the outputs, negative halves behind all positive ones."""
    return np.lexsort((table.in_channel, table.out_channel, -table.sign)).tolist()


def rows_by_channel(table: KernelTable) -> list[list[int]]:
    """Rows of each input channel, as `output_rows`.

    Raises
    ------
    FourOpticsError
        If an output has not a kernel for each channel.
    """
    rows = [[row for row in output_rows(table) if table.in_channel[row] == c] for c in np.unique(table.in_channel)]
    outputs = [table.out_channel[mine].tolist() for mine in rows]
    if any(one != outputs[0] for one in outputs):
        raise FourOpticsError("the masks hold not one kernel for each output and channel; compile them again")
    return rows


def with_rows(masks: MaskSet, rows: list[int]) -> MaskSet:
    """The same masks with some rows of their kernel table, in this order."""
    columns: dict[str, Any] = {item.name: getattr(masks.kernels, item.name) for item in fields(KernelTable)}
    columns |= {name: column[rows] for name, column in columns.items() if column is not None}
    return replace(masks, kernels=KernelTable(**columns))


def with_panel(bench: FourF, **changes: float) -> FourF:
    """Return the same bench with other values in ``[panel]``, such as ``fill_factor=1``."""
    data = bench.config.model_dump()
    return FourF(data | {"panel": data["panel"] | changes})
