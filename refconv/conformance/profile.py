"""What an implementation supports and what it says about its arithmetic: the convention that it is tested by."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from refconv.conformance.features import FEATURES, nearest_to
from refconv.testing.claim import Claim
from refconv.testing.formats import FORMATS
from refconv.testing.operation import OPS

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

__all__ = ["Profile", "ProfileError"]

_CHOICES = {
    "layout": ("channels_first", "channels_last"),
    "padding": ("torch", "pairs", "onnx", "tensorflow"),
    "messages": ("any", "torch"),
}
_WEIGHT_LETTERS = {"O", "I", "S"}


def _is_feature(key: str) -> bool:
    only_for, _, feature = key.rpartition(":")
    return feature in FEATURES and (only_for in ("", *OPS) or only_for in FORMATS)


def _unknown_feature(key: str) -> str:
    only_for, colon, feature = key.rpartition(":")
    meant = feature if feature in FEATURES else nearest_to(feature)
    if meant != feature:
        hint = f"did you mean {only_for + colon + meant!r}? " if meant else ""
        return f"profile: unsupported has the unknown feature {key!r}; {hint}known are {', '.join(FEATURES)}"
    known = ", ".join((*OPS, *FORMATS))
    return f"profile: unsupported has {key!r}, but {only_for!r} is no operation or dtype; known are {known}"


class ProfileError(ValueError):
    """A profile makes no sense."""


@dataclass(frozen=True)
class Profile:
    """What a target supports and claims.

    Parameters
    ----------
    ops : tuple of str
        Functions: conv1d to conv3d, conv_transpose1d to 3d, conv1d_input, conv1d_weight, conv1d_bias and so on.
    dtypes : tuple of str
        Names of dtypes of the operands.
    claims : dict of str to Claim
        By dtype, the arithmetic that results are held to. For a dtype without one, sums in float32, or float64 for
        float64 operands.
    layout : {'channels_first', 'channels_last'}
        Order of axes of input and result.
    weight_layout : str
        Order of the weight's axes: O for C_out, I for C_in / groups, S for all spatial ones. "OIS" is torch's, "SIO"
        TensorFlow's. For transposed convolutions O and I are those of the convolution whose gradient it is: torch's is
        "OIS" too.
    padding : {'torch', 'pairs', 'onnx', 'tensorflow'}
        How the argument is passed. torch: an int, an int per axis, 'same' or 'valid'. pairs: ((begin, end), ...).
        onnx: [begin, begin, end, end], or 'SAME_UPPER', 'SAME_LOWER', 'VALID'. tensorflow: 'SAME', 'VALID', or pairs.
    flip : bool
        Whether the target turns the kernel round: a convolution in the mathematical sense.
    unsupported : dict of str to str
        What it does not have, by `refconv.conformance.features.FEATURES`, and why. Shown in reports as declared,
        never as passed.
    refusals : tuple of str
        Names of the exceptions by which wrong calls may be refused.
    messages : {'any', 'torch'}
        Whether the texts of errors must be torch's.
    signed_zeros : bool
        Whether the sign of a zero is compared, too. Implementations do not agree on it, so by default it is not.
    time_limit : float
        Seconds for one call.
    memory_limit : int, optional
        Bytes of memory that the target's process may have; by default half of the machine's.

    Examples
    --------
    >>> profile = Profile(dtypes=("float32",), layout="channels_last", unsupported={"groups": "not written yet"})
    >>> profile.supports("groups"), profile.supports("bias")
    (False, True)
    >>> profile.claim("float32")
    Claim(accumulate='float32')
    """

    ops: tuple[str, ...] = ("conv2d",)
    dtypes: tuple[str, ...] = ("float32", "float64")
    claims: dict[str, Claim] = field(default_factory=dict)
    layout: str = "channels_first"
    weight_layout: str = "OIS"
    padding: str = "torch"
    flip: bool = False
    unsupported: dict[str, str] = field(default_factory=dict)
    refusals: tuple[str, ...] = ("ValueError", "RuntimeError", "TypeError")
    messages: str = "any"
    signed_zeros: bool = False
    time_limit: float = 10.0
    memory_limit: int | None = None

    def __post_init__(self):
        for name in ("ops", "dtypes", "refusals"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        unknown = [op for op in self.ops if op not in OPS]
        if unknown or not self.ops:
            raise ProfileError(f"profile: ops must be some of {', '.join(OPS)}, but got {list(self.ops)}")
        if not self.dtypes:
            raise ProfileError("profile: there must be at least one dtype")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                listing = ", ".join(map(repr, choices))
                raise ProfileError(f"profile: {name} must be one of {listing}, but got {getattr(self, name)!r}")
        if len(self.weight_layout) != 3 or set(self.weight_layout) != _WEIGHT_LETTERS:
            raise ProfileError(
                f"profile: weight_layout must have the letters O, I and S in some order, but got {self.weight_layout!r}"
            )
        if not isinstance(self.unsupported, dict):
            raise ProfileError(
                'profile: unsupported must be a table of features and reasons, such as groups = "not written yet", '
                f"but got {self.unsupported!r}"
            )
        for key in self.unsupported:
            if not _is_feature(key):
                raise ProfileError(_unknown_feature(key))

    def narrowed(self, op: str, dtype: str) -> "Profile":
        """Return the same profile for one op and dtype: what is unsupported for others only is left out."""
        its_own = {}
        for key, reason in self.unsupported.items():
            only_for, _, feature = key.rpartition(":")
            if only_for in ("", op, dtype):
                its_own[feature] = reason
        return replace(self, unsupported=its_own)

    @property
    def missing(self) -> dict[str, str]:
        """Features that there are not, and why: those declared, and what the way to pass padding cannot express."""
        implied = {
            "torch": {"asymmetric_padding": "padding is passed as in torch"},
            "pairs": {"named_padding": "padding is passed as pairs"},
        }
        return {**implied.get(self.padding, {}), **self.unsupported}

    def supports(self, feature: str) -> bool:
        """Return whether there is a feature."""
        return feature not in self.missing

    def claim(self, dtype: str) -> Claim:
        """Return the arithmetic that results for operands of a dtype are held to."""
        if dtype in self.claims:
            return self.claims[dtype]
        # Integers, complex numbers and formats of eight bits are only ever given sums without rounding.
        return Claim.of(dtype) if dtype in FORMATS else Claim()

    @classmethod
    def from_toml(cls, path: str | Path) -> "Profile":
        """Read a profile from a file.

        Parameters
        ----------
        path : str or Path
            A TOML file with the parameters as keys; claims and unsupported are tables.

        Raises
        ------
        ProfileError
            ``profile: profile.toml: unknown key 'dtype'; known are ops, dtypes, ...``
        """
        try:
            with open(path, "rb") as file:
                content = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ProfileError(f"profile: cannot read {path}: {error}") from error
        return cls.from_dict(content, str(path))

    @classmethod
    def from_dict(cls, content: dict, source: str = "profile") -> "Profile":
        """Make a profile of what a TOML file holds; `source` is named in errors."""
        known = [f.name for f in fields(cls)]
        for key in content:
            if key not in known:
                raise ProfileError(f"profile: {source}: unknown key {key!r}; known are {', '.join(known)}")
        try:
            claims = {dtype: Claim(**claim) for dtype, claim in content.get("claims", {}).items()}
        except (TypeError, ValueError, AttributeError) as error:
            raise ProfileError(f"profile: {source}: claims: {error}") from error
        return cls(**{**content, "claims": claims})

    def as_dict(self) -> dict:
        """Return what `from_dict` makes the same profile of, for JSON and TOML."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content["claims"] = {
            dtype: {f.name: getattr(claim, f.name) for f in fields(claim)} for dtype, claim in self.claims.items()
        }
        return content
