"""What lies between pixels and networks: transfer curves, and the kernels that apply them."""
