"""Is the physics right? Cases whose answer is known exactly; ``python -m validation`` prints and writes the page.

=========  ============================================================================================================
case       Point, Setting and Case: what is compared, how far off it may be and why; the page
space      free space: Gaussian beams near, far, tight, tilted, backward, onto other grids, of cells
edges      straight edges: square, rectangles, double slit, knife edge; of whole cells and of parts of cells
circles    round openings: on the axis and across it, a stop, a point source, a focus and its shift
periodic   gratings: orders, self-images, fractional Talbot images, evanescent orders
precision  complex64 beside complex128
exact      the closed forms of free space as plain functions (numpy, float64)
lenses     one lens: Airy pattern, windows of the focal plane, the thin lens between stretches of free space
filters    4f: image, knife edge, slit, phase contrast, dark field, convolution kernels
imaging    pupils: dark rings, transfer functions, Strehl ratios, incoherent targets and fringes
pixels     square input pixels, quadrature over a panel pixel
cases      all of them
peers      the same propagations through other packages, where they are installed
encodings  every way to show a Laplacian, side by side: ``python -m validation.encodings``
capacity   how many kernels one mask carries, and how well: ``python -m validation.capacity``
=========  ============================================================================================================
"""
