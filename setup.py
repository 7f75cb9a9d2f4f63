"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

REFCONV_BUILD chooses the kind of build: `release` (the default), `debug` (bounds checks in every loop) or `sanitize`
(bounds checks, AddressSanitizer and UndefinedBehaviorSanitizer; see `make sanitize`).
"""

import itertools
import os
import platform
import shutil
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

KERNELS = ["exact", "scratch", "handoff", "widen", "direct", "direct_grad", "integer", "terms", "cpu"]

# These are compiled once for each instruction set; refconv/kernels/isa.py chooses one at import.
ISA_KERNELS = ["blocked", "blocked_integer", "weight_rows", "screening"]
ISA_FLAGS = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    ISA_FLAGS["v3"] = ["-march=x86-64-v3"]  # AVX2 and FMA
    ISA_FLAGS["v4"] = ["-march=x86-64-v4", "-mprefer-vector-width=512"]  # AVX-512

# -ffp-contract=off: an error-free transformation must not be fused into something else; where a fused multiply-add is
# wanted it is written. -ffast-math and its relatives would break the proofs, so nothing here enables them.
UNIX_FLAGS = {
    "release": ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"],
    "debug": ["-O1", "-g", "-ffp-contract=off", "-DREFCONV_WATCH_MEMORY"],
    "sanitize": [
        "-O1",
        "-g",
        "-ffp-contract=off",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
        "-fno-omit-frame-pointer",
        "-DREFCONV_WATCH_MEMORY",
    ],
}
MSVC_FLAGS = {
    "release": ["/O2", "/fp:precise"],
    "debug": ["/Od", "/fp:precise"],
    "sanitize": ["/Od", "/fsanitize=address"],
}
LINK_FLAGS = {"sanitize": ["-fsanitize=address,undefined"]}

BUILD = os.environ.get("REFCONV_BUILD", "release")
if BUILD not in UNIX_FLAGS:
    raise SystemExit(f"REFCONV_BUILD={BUILD!r}: expected one of {', '.join(UNIX_FLAGS)}")


class BuildKernels(build_ext):
    """Adds the flags of the compiler in use, which setuptools knows only now."""

    def finalize_options(self):
        """Compile as many kernels at a time as there are CPUs, unless --parallel says otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        """Leave out the instruction sets that the compiler does not know, choose flags, then build as usual."""
        msvc = self.compiler.compiler_type == "msvc"
        flags = MSVC_FLAGS if msvc else UNIX_FLAGS
        for extension in list(self.extensions):
            isa = extension.name.rpartition("_")[2]
            isa_flags = ISA_FLAGS.get(isa, [])
            if isa_flags and (msvc or not self.accepts(isa_flags)):
                self.extensions.remove(extension)
                continue
            extension.extra_compile_args = [*flags[BUILD], *isa_flags, *extension.extra_compile_args]
            extension.extra_link_args = [*LINK_FLAGS.get(BUILD, []), *extension.extra_link_args]
        super().build_extensions()

    def accepts(self, flags):
        """Whether the compiler takes these flags."""
        probe = Path(self.build_temp, "probe.c")
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text("int refconv_probe;\n")
        try:
            self.compiler.compile([str(probe)], output_dir=self.build_temp, extra_postargs=flags)
        except CompileError:
            return False
        return True


def kernel(name):
    """The extension `refconv.kernels.<name>`, from the .pyx of that name."""
    return Extension(f"refconv.kernels.{name}", [f"refconv/kernels/{name}.pyx"])


def isa_kernel(name, isa):
    """The extension `refconv.kernels.<name>_<isa>`, from a copy of the .pyx: a module's name is in its C code."""
    copy = Path("build", "isa", f"{name}_{isa}.pyx")
    original = Path("refconv", "kernels", f"{name}.pyx")
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not copy.exists() or copy.read_bytes() != original.read_bytes():
        shutil.copyfile(original, copy)
    return Extension(f"refconv.kernels.{name}_{isa}", [str(copy)], include_dirs=["refconv/kernels"])


def translated():
    """All extensions, translated to C: those that changed, or all if the last build here was of another kind."""
    note = Path("build", "kind.txt")
    extensions = cythonize(
        [*map(kernel, KERNELS), *itertools.starmap(isa_kernel, itertools.product(ISA_KERNELS, ISA_FLAGS))],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "boundscheck": BUILD != "release"},
        force=not note.exists() or note.read_text() != BUILD,
    )
    note.write_text(BUILD)
    return extensions


setup(ext_modules=translated(), cmdclass={"build_ext": BuildKernels})
