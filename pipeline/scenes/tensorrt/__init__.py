"""Flux and SDXL by ONNX: exports, TensorRT plans of this machine, and who runs them."""
