"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

REFCONV_BUILD chooses the kind of build: `release` (the default), `debug` (bounds checks in every loop) or `sanitize`
(bounds checks, AddressSanitizer and UndefinedBehaviorSanitizer; see `make sanitize`).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = ["exact", "widen", "direct"]

# -ffp-contract=off: an error-free transformation must not be fused into something else; where a fused multiply-add is
# wanted it is written. -ffast-math and its relatives would break the proofs, so nothing here enables them.
UNIX_FLAGS = {
    "release": ["-O3", "-ffp-contract=off"],
    "debug": ["-O1", "-g", "-ffp-contract=off"],
    "sanitize": [
        "-O1",
        "-g",
        "-ffp-contract=off",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
        "-fno-omit-frame-pointer",
    ],
}
MSVC_FLAGS = {"release": ["/O2", "/fp:precise"], "debug": ["/Od", "/fp:precise"], "sanitize": ["/Od", "/fsanitize=address"]}
LINK_FLAGS = {"sanitize": ["-fsanitize=address,undefined"]}

BUILD = os.environ.get("REFCONV_BUILD", "release")
if BUILD not in UNIX_FLAGS:
    raise SystemExit(f"REFCONV_BUILD={BUILD!r}: expected one of {', '.join(UNIX_FLAGS)}")


class BuildKernels(build_ext):
    """Adds the flags of the compiler in use, which setuptools knows only now."""

    def build_extensions(self):
        """Choose flags, then build as usual."""
        flags = MSVC_FLAGS if self.compiler.compiler_type == "msvc" else UNIX_FLAGS
        for extension in self.extensions:
            extension.extra_compile_args = [*flags[BUILD], *extension.extra_compile_args]
            extension.extra_link_args = [*LINK_FLAGS.get(BUILD, []), *extension.extra_link_args]
        super().build_extensions()


def kernel(name):
    """The extension `refconv.kernels.<name>`, from the .pyx of that name."""
    source = Path("refconv", "kernels", f"{name}.pyx")
    return Extension(f"refconv.kernels.{name}", [str(source)])


setup(
    ext_modules=cythonize(
        [kernel(name) for name in KERNELS],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "boundscheck": BUILD != "release"},
        force=BUILD != "release",
    ),
    cmdclass={"build_ext": BuildKernels},
)
