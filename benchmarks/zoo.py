"""The layers that are timed: ones people know, and a ladder of sizes.

A layer's size is its multiply-adds: C_in/groups * kH * kW for each of the N * C_out * oH * oW output elements.  Taps in
the padding are counted, as is the custom, although they are not terms of the sum.
"""

from dataclasses import dataclass, replace
from math import ceil, prod, sqrt

Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One convolution: everything but the numbers in its operands.

    Parameters
    ----------
    name : str
        The network and the layer.
    input : tuple of int, (N, C_in, H, W)
    weight : tuple of int, (C_out, C_in/groups, kH, kW)
    stride, padding, dilation : tuple of int, one per axis
    groups : int
    data : str
        A key of `benchmarks.operands.KINDS`.
    task : str
        What is computed: the ``"forward"`` convolution, its ``"input gradient"`` or its ``"weight gradient"``.
    """

    name: str
    input: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    data: str = "normal"
    task: str = "forward"

    @classmethod
    def from_json(cls, fields):
        """Rebuild a layer from its fields, which JSON has turned into lists."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})

    @property
    def kernel_extent(self):
        """Rows and columns of input that one window spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.weight[2:], self.dilation, strict=True))

    @property
    def output(self):
        """Shape of the output, (N, C_out, oH, oW)."""
        sizes = zip(self.input[2:], self.padding, self.kernel_extent, self.stride, strict=True)
        return self.input[0], self.weight[0], *((size + 2 * pad - span) // step + 1 for size, pad, span, step in sizes)

    @property
    def terms(self):
        """Products summed for one element of the result; of an input gradient at most."""
        if self.task == "input gradient":
            return self.weight[0] // self.groups * prod(self.weight[2:])
        if self.task == "weight gradient":
            return self.output[0] * prod(self.output[2:])
        return prod(self.weight[1:])

    @property
    def macs(self):
        """Multiply-adds, padding taps included; they are the same for all tasks."""
        return prod(self.output) * prod(self.weight[1:])

    @property
    def float32_bytes(self):
        """Size of operands and result in float32."""
        return 4 * (prod(self.input) + prod(self.weight) + prod(self.output))

    @property
    def is_wide_3x3(self):
        """Whether this is an ordinary 3x3 layer with 64 channels or more on both sides."""
        return self.weight[2:] == (3, 3) and self.groups == 1 and min(self.weight[:2]) >= 64

    def shrunk(self):
        """Return a tiny layer of the same kind: same window, steps and padding, few channels, few outputs."""
        per_group_in = min(self.weight[1], 4)
        per_group_out = min(self.weight[0] // self.groups, 4)
        groups = min(self.groups, 4)
        size = tuple(max(1, span - 2 * pad) for span, pad in zip(self.kernel_extent, self.padding, strict=True))
        return replace(
            self,
            input=(1, groups * per_group_in, *size),
            weight=(groups * per_group_out, per_group_in, *self.weight[2:]),
            groups=groups,
            data="normal",
        )


def _layer(name, input, weight, stride=1, padding=0, dilation=1, groups=1):
    """Spell a layer as torch does, with one integer where both axes agree."""
    pairs = [value if isinstance(value, tuple) else (value, value) for value in (stride, padding, dilation)]
    return Layer(name, input, weight, *pairs, groups)


ZOO = (
    _layer("Tiny 3x3 on 5x5", (1, 1, 5, 5), (1, 1, 3, 3)),
    _layer("Sobel pair, 256x256", (1, 1, 256, 256), (2, 1, 3, 3), padding=1),
    _layer("LeNet-5 C1", (1, 1, 32, 32), (6, 1, 5, 5)),
    _layer("LeNet-5 C3", (1, 6, 14, 14), (16, 6, 5, 5)),
    _layer("ResNet-20 CIFAR 3x3, batch 32", (32, 16, 32, 32), (16, 16, 3, 3), padding=1),
    _layer("AlexNet conv1", (1, 3, 224, 224), (64, 3, 11, 11), stride=4, padding=2),
    _layer("AlexNet conv2", (1, 64, 27, 27), (192, 64, 5, 5), padding=2),
    _layer("AlexNet conv3", (1, 192, 13, 13), (384, 192, 3, 3), padding=1),
    _layer("VGG-16 conv1_1", (1, 3, 224, 224), (64, 3, 3, 3), padding=1),
    _layer("VGG-16 conv1_2", (1, 64, 224, 224), (64, 64, 3, 3), padding=1),
    _layer("VGG-16 conv3_2", (1, 256, 56, 56), (256, 256, 3, 3), padding=1),
    _layer("VGG-16 conv5_1", (1, 512, 14, 14), (512, 512, 3, 3), padding=1),
    _layer("ResNet-50 stem 7x7 s2", (1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
    _layer("ResNet-50 3x3 64ch 56", (1, 64, 56, 56), (64, 64, 3, 3), padding=1),
    _layer("ResNet-50 3x3 128ch 56 s2", (1, 128, 56, 56), (128, 128, 3, 3), stride=2, padding=1),
    _layer("ResNet-50 3x3 128ch 28", (1, 128, 28, 28), (128, 128, 3, 3), padding=1),
    _layer("ResNet-50 3x3 256ch 14", (1, 256, 14, 14), (256, 256, 3, 3), padding=1),
    _layer("ResNet-50 3x3 512ch 7", (1, 512, 7, 7), (512, 512, 3, 3), padding=1),
    _layer("ResNet-50 1x1 64-256 56", (1, 64, 56, 56), (256, 64, 1, 1)),
    _layer("ResNet-50 1x1 512-128 28", (1, 512, 28, 28), (128, 512, 1, 1)),
    _layer("ResNet-50 1x1 1024-256 14", (1, 1024, 14, 14), (256, 1024, 1, 1)),
    _layer("ResNet-50 1x1 512-2048 7", (1, 512, 7, 7), (2048, 512, 1, 1)),
    _layer("ResNeXt-50 3x3 32 groups 56", (1, 128, 56, 56), (128, 4, 3, 3), padding=1, groups=32),
    _layer("MobileNetV2 depthwise 112 s2", (1, 96, 112, 112), (96, 1, 3, 3), stride=2, padding=1, groups=96),
    _layer("MobileNetV2 depthwise 14", (1, 384, 14, 14), (384, 1, 3, 3), padding=1, groups=384),
    _layer("MobileNetV2 expand 16-96 112", (1, 16, 112, 112), (96, 16, 1, 1)),
    _layer("MobileNetV2 project 384-64 14", (1, 384, 14, 14), (64, 384, 1, 1)),
    _layer("ConvNeXt-T depthwise 7x7 56", (1, 96, 56, 56), (96, 1, 7, 7), padding=3, groups=96),
    _layer("DeepLabV3 backbone 3x3 rate 2", (1, 256, 28, 28), (256, 256, 3, 3), padding=2, dilation=2),
    _layer("DeepLabV3 ASPP 3x3 rate 12", (1, 320, 33, 33), (256, 320, 3, 3), padding=12, dilation=12),
    _layer("ViT-B/16 patches", (1, 3, 224, 224), (768, 3, 16, 16), stride=16),
    _layer("wav2vec 2.0 conv 1x3 s2", (1, 512, 1, 3199), (512, 512, 1, 3), stride=(1, 2)),
    _layer("Wide strip 3x3, 64x8192", (1, 3, 64, 8192), (16, 3, 3, 3), padding=1),
    _layer("YOLOv3-tiny conv1 1080p", (1, 3, 1080, 1920), (16, 3, 3, 3), padding=1),
)

TINY = ZOO[0].name


def ladder(exponents):
    """Return square 3x3 layers of 10**e multiply-adds, near enough, channels and sides growing together.

    Parameters
    ----------
    exponents : iterable of float
    """
    layers = []
    for exponent in exponents:
        channels = round(2 ** (exponent - 2))
        side = ceil(sqrt(10**exponent / 9) / channels)
        name = f"10^{exponent:g} multiply-adds"
        layers.append(_layer(name, (1, channels, side, side), (channels, channels, 3, 3), padding=1))
    return layers


# 576 terms for each output: typical, and enough of them for the data's difficulty to show.  No padding, so that every
# window holds all its terms and is as hard as it was meant to be.
HARD_DATA_LAYER = _layer("64 channels 3x3 on 30x30", (1, 64, 30, 30), (64, 64, 3, 3))


GRADIENTS = ("input gradient", "weight gradient")

# A call on less than this is mostly the way to the kernel.
SUBSTANTIAL_MACS = 1e6


def select(layers, patterns):
    """Keep the layers whose name holds one of `patterns`, whatever the case; all of them without patterns."""
    wanted = [pattern.strip().lower() for pattern in patterns]
    return [layer for layer in layers if not wanted or any(pattern in layer.name.lower() for pattern in wanted)]
