"""A checkpoint's tensors to the products that the network is made of: read and quantised."""
