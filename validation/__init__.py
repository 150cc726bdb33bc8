"""Is the physics right? Cases whose answer is known exactly; ``python -m validation`` prints the table.

=========  ========================================================================
case       Case and Point: what is compared, how far off it may be and why; the page
space      free space: Gaussian beam, circular aperture on the axis, rectangle
lenses     Airy pattern, 4f identity, 4f against conv2d
pixels     square input pixels, quadrature over a panel pixel
cases      all of them
=========  ========================================================================
"""
