"""Which clauses are entitled to reject which mistake of the catalogue: those whose business it is."""

__all__ = ["CATCHES"]

# A clause that compares with the exact result comes before a law: its failing cases can be explained.
_GROUPS = ("groups", "groups-as-blocks")
_CHANNELS = ("channels", "vector-widths", "channel-order")
_BATCH = ("batch", "batch-apart", "batch-order")
_BIAS = ("bias", "batch")
_PADDING = ("padding", "deep-padding", "padding-as-zeros")
_STRIDE = ("stride", "stride-as-subsampling")
_DILATION = ("dilation", "dilation-as-zeros")

#: By the name of the mistake, keys of clauses.
CATCHES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "bias missing",
            "bias added twice",
            "bias subtracted",
            "first bias for all channels",
            "biases in reverse order",
            "bias of the next channel",
            "bias taken by batch index",
            "bias in the first item of the batch only",
        ),
        _BIAS,
    ),
    **dict.fromkeys(
        (
            "groups dealt round-robin",
            "output channels of the groups interleaved",
            "first group used for all",
            "groups in reverse order",
            "first groups only",
        ),
        _GROUPS,
    ),
    **dict.fromkeys(
        (
            "last input channel dropped",
            "first input channel only",
            "channels past a multiple of 4 dropped",
            "channels past a multiple of 8 dropped",
            "channels past a multiple of 16 dropped",
            "input channels reversed",
            "channel axes of the weight swapped",
            "input in NHWC order taken for NCHW",
            "input in NCHW order taken for NHWC",
            "weight in HWIO order taken for OIHW",
            "padding lanes of a block of channels counted",
            "output channels past a multiple of 4 zero",
            "last output channel zero",
            "same kernel for all output channels",
            "kernels of the output channels reversed",
        ),
        _CHANNELS,
    ),
    "height and width of the input swapped": ("kernel", "size-one"),
    **dict.fromkeys(
        (
            "first item of the batch repeated",
            "items of the batch in reverse order",
            "later items of the batch are zero",
            "gradient of the first item only",
            "gradient averaged over the batch",
        ),
        _BATCH,
    ),
    **dict.fromkeys(
        (
            "last column stale",
            "last row stale",
            "columns past a multiple of 4 stale",
            "columns past a multiple of 8 stale",
            "rows written without their stride",
            "last column repeats the one before",
            "one element wrong",
            "windows one element late",
            "windows one row late",
        ),
        ("kernel", "vector-widths", "shift"),
    ),
    "size of the result rounded up": ("shape", "stride"),
    "size of the result one too small": ("shape", "kernel"),
    "size of the result without dilation": ("shape", "dilation"),
    "size of the result without padding": ("shape", "padding"),
    "output_padding at the beginning": ("output-padding",),
    **dict.fromkeys(
        (
            "stride axes swapped",
            "stride ignored",
            "first stride used for all axes",
            "stride taken for the kernel's size",
        ),
        _STRIDE,
    ),
    **dict.fromkeys(
        (
            "dilation axes swapped",
            "dilation ignored",
            "dilation off by one",
            "first dilation used for all axes",
        ),
        _DILATION,
    ),
    "dilation ignored where there is a stride": ("strided-dilation", "dilation-as-zeros"),
    "stride and dilation exchanged": ("stride", "dilation", "strided-dilation"),
    "stride ignored by 1x1 kernels": ("pointwise", "stride"),
    **dict.fromkeys(
        (
            "kernel flipped",
            "kernel flipped along its last axis",
            "kernel flipped along its first axis",
            "kernel axes swapped",
            "kernel read column by column",
            "last tap dropped",
            "first tap dropped",
            "last row of the kernel dropped",
            "last column of the kernel dropped",
            "first tap counted twice",
        ),
        ("kernel", "impulse", "adjoint"),
    ),
    **dict.fromkeys(
        (
            "strides of the weight ignored",
            "strides of the input ignored",
            "weight read in the order of memory",
            "input read in the order of memory",
            "strides of the bias ignored",
        ),
        ("views",),
    ),
    **dict.fromkeys(
        (
            "padding axes swapped",
            "padding all at the end",
            "padding all at the beginning",
            "first padding used for all axes",
            "padding replicates the edge",
            "padding reflects the image",
            "padding wraps around",
            "padding with ones",
            "windows in the padding are not a number",
            "windows in the padding lose the bias",
            "windows that touch the padding are zero",
            "windows that touch the padding are averaged",
        ),
        _PADDING,
    ),
    "padding at beginning and end exchanged": ("named-padding", "uneven-padding", "same-with-strides"),
    "'same' from the undilated kernel": ("named-padding", "same-with-strides"),
    "infinite padding lanes leak": ("padding", "deep-padding", "non-finite"),
    **dict.fromkeys(
        (
            "inputs rounded to TF32",
            "inputs truncated to TF32",
            "inputs rounded to bfloat16",
            "inputs truncated to bfloat16",
            "inputs rounded to float32",
            "weight rounded to bfloat16",
            "result rounded to float16",
            "result rounded to bfloat16",
            "weight scaled by 1 + 2**-10",
            "sums in float16",
            "sums in bfloat16",
            "sums in float32",
        ),
        ("rounding", "anything-goes"),
    ),
    **dict.fromkeys(
        ("NaN operands taken for zero", "NaN results replaced by zero", "infinities replaced by the largest number"),
        ("non-finite",),
    ),
    "subnormal results flushed to zero": ("subnormals",),
    "subnormal operands flushed to zero": ("subnormals",),
    **dict.fromkeys(
        ("all zeros", "negative results cut off", "wrong sign", "absolute values", "constant zero products lost"),
        ("kernel", "channels", "anything-goes", "linear-in-input", "linear-in-weight"),
    ),
}
