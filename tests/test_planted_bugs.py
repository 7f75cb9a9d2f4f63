"""The planted bugs of ``make mutation`` can be planted: code that moves on must not leave them behind."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tools.mutation.bugs import planted  # noqa: E402
from tools.mutation.planted import node  # noqa: E402


def test_every_planted_bug_has_its_place():
    for bug in planted():
        count = (ROOT / bug.file).read_text(encoding="utf-8").count(bug.old)
        assert count == 1, f"{bug.name}: {count} places in {bug.file}"
        assert bug.old != bug.new


def test_every_test_that_has_to_notice_exists():
    for bug in planted():
        assert bug.tests, bug.name
        for test in bug.tests:
            file, name = node(test).split("::", 1)
            function = re.match(r"\w+", name)[0]
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), f"{bug.name}: {test}"
