"""All cases, in the order of the page."""

from validation import lenses, pixels, space

CASES = (*space.CASES, *lenses.CASES, *pixels.CASES)
