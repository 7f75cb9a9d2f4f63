"""An environment for each library, and the suite run in it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import tomllib

__all__ = ["Environment", "environments", "wheel"]

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Environment:
    """A virtual environment with a library.

    Parameters
    ----------
    name : str
    directory : Path
    adapters : list of str
        Names of targets.
    requirements : list of str
        What pip installs, with versions.
    system : list of str
        Programs that have to be there.
    options : dict of str to list of str
        By adapter, options of ``refconv check`` that select what it is asked.
    """

    name: str
    directory: Path
    adapters: list[str]
    requirements: list[str]
    system: list[str] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def missing(self) -> list[str]:
        """Programs that are not there."""
        return [program for program in self.system if shutil.which(program) is None]

    def install(self, refconv_wheel: Path):
        """Make the environment if what belongs into it has changed, and put this refconv in."""
        wanted = json.dumps(self.requirements)
        note = self.directory / "made-for.json"
        constraints = ["-c", str(ROOT / "constraints.txt")]
        if not note.exists() or note.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(self.directory, ignore_errors=True)
            _run(sys.executable, "-m", "venv", self.directory)
            self._pip(*constraints, f"{refconv_wheel}[conformance]", *self.requirements)
            note.write_text(wanted, encoding="utf-8")
        else:
            self._pip("--no-deps", "--force-reinstall", refconv_wheel)

    def _pip(self, *arguments):
        _run(self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    @property
    def megabytes(self) -> int:
        """What it takes on disk."""
        files = (path for path in self.directory.rglob("*") if path.is_file() and not path.is_symlink())
        return round(sum(path.stat().st_size for path in files) / 1e6)

    def check(self, adapter: str, report: Path, options: list[str], log: Path) -> int:
        """Run the suite on a target; the report as JSON is left in a file. Returns the exit status."""
        command = [
            self.python,
            "-m",
            "refconv",
            "check",
            adapter,
            "--json",
            report,
            *options,
            *self.options.get(adapter, []),
        ]
        with open(log, "w", encoding="utf-8") as file, tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run(command, cwd=elsewhere, env=_surroundings(), stdout=file, stderr=file)
        return done.returncode

    def output_of(self, code: str) -> str:
        """Run code by itself; what it prints, and how it ends if not well."""
        with tempfile.TemporaryDirectory() as elsewhere:
            script = Path(elsewhere, "script.py")
            script.write_text(code, encoding="utf-8")
            command = [self.python, script]
            done = subprocess.run(
                command, cwd=elsewhere, env=_surroundings(), capture_output=True, text=True, timeout=300
            )
        lines = done.stdout.splitlines()
        if done.returncode < 0:
            lines.append(f"(killed by signal {-done.returncode})")
        elif done.returncode:
            lines += done.stderr.splitlines()[-1:]
        return "\n".join(lines)


def environments(directory: Path) -> list[Environment]:
    """Return those that environments.toml lists, as they are or will be in a directory."""
    listed = tomllib.loads((Path(__file__).parent / "environments.toml").read_text(encoding="utf-8"))
    return [Environment(name, directory / name, **entry) for name, entry in listed.items()]


def wheel(directory: Path) -> Path:
    """Build refconv from the checkout and return the wheel."""
    directory = directory / "wheel"
    shutil.rmtree(directory, ignore_errors=True)
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", directory, ROOT)
    (built,) = directory.glob("refconv-*.whl")
    return built


def _surroundings() -> dict[str, str]:
    # Waiting OpenMP threads that spin make small convolutions slow; what is in the caller's path is not to be found.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "3", "NO_COLOR": "1"}


def _run(*command):
    # To pip, what is in the caller's path is installed already.
    subprocess.run([str(word) for word in command], check=True, env=_surroundings())
