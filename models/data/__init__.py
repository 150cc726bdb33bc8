"""Images with their labels, from files, in three parts that share none.

split   Split and Dataset
subset  the part of Fashion-MNIST that comes with the repository
idx     IDX files: MNIST, Fashion-MNIST
"""

from models.data.idx import read_idx
from models.data.split import Dataset, Split
from models.data.subset import FASHION_CLASSES, SUBSET, fashion_subset

__all__ = ["FASHION_CLASSES", "SUBSET", "Dataset", "Split", "fashion_subset", "read_idx"]
