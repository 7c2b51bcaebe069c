"""The passes between products as Triton kernels: one read and one write each."""
