"""Transfer curves between pixels and networks, and the numba kernels that apply them."""
