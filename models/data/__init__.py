"""Images with their labels, from files, in three parts that share none.

sets      DataConfig and load(): from the name of a set to its three parts
split     Split and Dataset, the result
listing   what there is to read, and how it is parted before any image is read
pictures  image files and masks, read one at a time and brought to a common size
subset    the part of Fashion-MNIST that comes with the repository
idx       IDX files: MNIST, Fashion-MNIST
cifar     CIFAR-10, binary version
folders   one folder a class: HIGH-10, Cats-Dogs, one's own
masked    images with masks: Carvana, VOC2012
elpv      solar cells, from an optional package
scenes    garments before textures, with masks
"""

from models.data.idx import FASHION_CLASSES, read_idx
from models.data.sets import DataConfig, load
from models.data.split import IGNORE, Dataset, Split
from models.data.subset import SUBSET, fashion_subset

__all__ = [
    "FASHION_CLASSES",
    "IGNORE",
    "SUBSET",
    "DataConfig",
    "Dataset",
    "Split",
    "fashion_subset",
    "load",
    "read_idx",
]
