"""All cases, in the order of the page."""

from validation import circles, edges, filters, imaging, lenses, periodic, pixels, precision, space

CASES = (
    *space.CASES,
    *edges.CASES,
    *circles.CASES,
    *periodic.CASES,
    *precision.CASES,
    *lenses.CASES,
    *filters.CASES,
    *imaging.CASES,
    *pixels.CASES,
)
