"""The directive ``help``: what a command of ``refconv`` prints with ``--help``."""

import os
import subprocess
import sys

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]


class Help(SphinxDirective):
    """The output of ``refconv COMMAND --help``; without a command, of ``refconv --help``."""

    optional_arguments = 1

    def run(self):
        command = [sys.executable, "-m", "refconv", *self.arguments, "--help"]
        done = subprocess.run(
            command, env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise self.error(f"{' '.join(command)} failed: {done.stderr}")
        return [nodes.literal_block(done.stdout, done.stdout, language="text")]


def setup(app):
    """Register the directive."""
    app.add_directive("help", Help)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
