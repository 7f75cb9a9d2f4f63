"""Other libraries' convolutions as targets: one file per library, which is imported only when it is asked for.

Each file has a function ``target(name)``, the only place where its library is imported. What a library supports and
claims is in the profile beside it, from the library's documentation.
"""

import importlib
from dataclasses import dataclass

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Target, TargetError

__all__ = ["ADAPTERS", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A library, or a variant of one, that the suite knows how to call.

    Parameters
    ----------
    name : str
        On the command line: the library, and after a colon the variant.
    module : str
        In this package; it has a function ``target(name)``.
    packages : str
        What pip installs.
    sentence : str
        What is called, in one line.
    """

    name: str
    module: str
    packages: str
    sentence: str

    @property
    def library(self) -> str:
        """The name without the variant."""
        return self.name.partition(":")[0]

    def load(self, profile: Profile | None = None) -> Target:
        """Return the target, with another profile if one is given.

        Raises
        ------
        TargetError
            ``target 'mlx' needs mlx: pip install 'mlx[cpu]'``
        """
        module = importlib.import_module(f"refconv.conformance.adapters.{self.module}")
        try:
            target = module.target(self.name)
        except ImportError as error:
            missing = error.name or self.library
            raise TargetError(f"target {self.name!r} needs {missing}: pip install {self.packages}") from error
        if profile is not None:
            target.profile = profile
        return target


_LISTED = (
    ("torch", "torch", "refconv[torch]", "torch.nn.functional and torch.nn.grad on the CPU"),
    ("torch:channels_last", "torch", "refconv[torch]", "the same on tensors in channels_last memory"),
    ("torch:nomkldnn", "torch", "refconv[torch]", "torch's own kernels, without oneDNN"),
    ("torch:compile", "torch", "refconv[torch]", "torch.compile, one kernel for each shape; needs a C++ compiler"),
    ("jax", "jax", "jax", "jax.lax.conv_general_dilated, conv_transpose and jax.vjp on the CPU"),
    ("onnxruntime", "onnxruntime", "onnxruntime onnx", "a Conv or ConvTranspose node whose weights are constants"),
    ("onnxruntime:inputs", "onnxruntime", "onnxruntime onnx", "the same with the weights as inputs"),
    ("onnx", "onnx", "onnx", "onnx.reference.ReferenceEvaluator on the same nodes"),
    ("openvino", "openvino", "openvino", "Convolution and its relatives on the CPU, told to compute in float32"),
    ("openvino:default", "openvino", "openvino", "the same in the precision that the plugin chooses"),
    ("tensorflow", "tensorflow", "tensorflow-cpu", "tf.nn.conv1d to conv3d, their transposes and tf.GradientTape"),
    ("keras", "keras", "keras tensorflow-cpu", "keras.ops.conv and conv_transpose on TensorFlow"),
    ("tinygrad", "tinygrad", "tinygrad", "Tensor.conv2d and conv_transpose2d on the CPU; needs clang"),
    ("mlx", "mlx", "'mlx[cpu]'", "mlx.core.conv_general and conv_transpose1d to 3d on the CPU"),
    ("ncnn", "ncnn", "ncnn", "a network of one Convolution layer, everything in float32"),
    ("opencv", "opencv", "opencv-python-headless onnx", "cv2.dnn on a Conv or ConvTranspose node of ONNX"),
    ("litert", "litert", "ai-edge-litert", "a model of one CONV_2D operator, run by XNNPACK"),
    ("litert:builtin", "litert", "ai-edge-litert", "the same, run by the interpreter's own kernels"),
    ("scipy", "scipy", "scipy", "scipy.signal.correlate with method='direct', a loop over images and channels"),
    ("scipy:fft", "scipy", "scipy", "scipy.signal.correlate with method='fft'"),
    ("tosa", "tosa", "tosa-tools", "the TOSA reference model on one CONV2D operator, a process for each call"),
)

#: By name.
ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (Adapter(*fields) for fields in _LISTED)}
