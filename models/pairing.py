"""What belongs together: a bench, the masks that it shows, and the student that learned for it."""

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
        If the light has a spectrum, its coherence is not that of the readout, or the reference is tilted.
    """
    kind, light, reference = config.readout.kind, config.light, config.reference
    if light.spectrum:
        raise FourOpticsError("light.spectrum: students learn with light of one wavelength; leave it out")
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
    """Return the student that learns with the readout, coding, gamma and contrast of a bench.

    Raises
    ------
    ConfigError
        If this student cannot learn with that readout.
    FourOpticsError
        As `check_readout`, or if the student has spectral pooling.
    """
    check_readout(bench)
    check_front(student)
    here = {"readout": bench.readout.kind} | {key: getattr(bench.input, key) for key in DISPLAY}
    return StudentConfig.model_validate(student.model_dump() | here)


def check_pairing(bench: FourF, masks: MaskSet, student: Student) -> None:
    """Refuse a bench or masks that are not made for this student.

    Raises
    ------
    FourOpticsError
        If the kernels of the masks are not the student's, or as `check_learned`.
    """
    config, table, wanted = bench.config, masks.kernels, merged_kernels(student).numpy()
    if wanted.shape[1] != 1:
        raise FourOpticsError(f"the student has {wanted.shape[1]} input channels: masks of a bench take one")
    kernels, halves = table.weight[output_rows(table)], 2 if (table.sign != 0).any() else 1
    if halves == 2 and len(kernels) % 2 == 0:
        kernels = kernels[: len(kernels) // 2] - kernels[len(kernels) // 2 :]
    close = {"rtol": 1e-6, "atol": 1e-6 * np.abs(wanted).max()}
    if kernels.shape != wanted[:, 0].shape or not np.allclose(kernels, wanted[:, 0], **close):
        raise FourOpticsError(
            f"the masks hold {len(kernels)} kernels that are not the student's {len(wanted)}: take the masks of its run"
        )
    if halves != (2 if config.readout.kind == "split" else 1):
        held = "halves of kernels, for readout 'split'" if halves == 2 else "whole kernels, and readout 'split' halves"
        raise FourOpticsError(
            f"readout.kind = {config.readout.kind!r}: the masks hold {held}; compile them for this bench"
        )
    check_learned(config, student.config)


def check_learned(bench: FourFConfig, student: StudentConfig) -> None:
    """Refuse a bench whose readout, coding, gamma or contrast is not what the student was trained with.

    Raises
    ------
    FourOpticsError
        Names the key and both values.
    """
    pairs = {"readout.kind": (bench.readout.kind, student.readout)}
    pairs |= {f"input.{key}": (getattr(bench.input, key), getattr(student, key)) for key in DISPLAY}
    for key, values in pairs.items():
        here, learned = ("left out" if value is None else f"= {value!r}" for value in values)
        if here != learned:
            raise FourOpticsError(
                f"{key} {here}, the student learned with {key} {learned}: change the bench file, or train a student "
                "for this bench"
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
    return np.lexsort((table.out_channel, -table.sign)).tolist()


def with_panel(bench: FourF, **changes: float) -> FourF:
    """Return the same bench with other values in ``[panel]``, such as ``fill_factor=1``."""
    data = bench.config.model_dump()
    return FourF(data | {"panel": data["panel"] | changes})
