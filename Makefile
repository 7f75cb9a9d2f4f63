# Everything here happens in .venv, which is made on first use, brought up to date when sources or requirements have
# changed, and made anew when it is broken, was moved, or belongs to another Python.

VENV := .venv
BIN := $(VENV)/bin
# The optional dependencies (pyproject.toml) that are installed with refconv.
EXTRAS := dev
CONSTRAINTS := -c constraints.txt

# The interpreter: PYTHON=... if given, else the one .venv was made with, else python3.
ifndef PYTHON
PYTHON := $(shell $(BIN)/python -c 'import sys; print(sys._base_executable)' 2>/dev/null || echo python3)
endif

.PHONY: help check test test-without-torch lint mutation sanitize debug bench docs soak soak-oracle kill-matrix suite-matrix suite-soak mistakes survey clean always
.DELETE_ON_ERROR:
# Two runs of pip in one environment get into each other's way.
.NOTPARALLEL:
.SUFFIXES:

help:
	@echo "make check      judge torch's convolutions; TARGET=file.py:function for another one"
	@echo 'make test       all tests, on all CPUs, then the examples in the docstrings'
	@echo 'make lint       ruff and cython-lint'
	@echo 'make bench      speed next to torch, jax, NumPy, onnx and SciPy (benchmarks/README.md)'
	@echo 'make docs       the documentation, into docs/_build/html, and the tests of its pages'
	@echo
	@echo 'make mutation   plant bugs in refconv and demand that the tests find each of them'
	@echo 'make sanitize   the kernel tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make debug      the kernel tests with bounds checks in every loop'
	@echo 'make soak       a hundred thousand random problems, by the fast kernel and by the definition'
	@echo 'make soak-oracle   fifty thousand right results, none of which assert_conv_close may reject'
	@echo 'make kill-matrix   which check rejects which mutant: docs/kill_matrix.md'
	@echo 'make suite-matrix  which clause rejects which mutant: docs/suite_matrix.md'
	@echo 'make suite-soak    the suite on right implementations, which it must not reject'
	@echo 'make mistakes   the table of known mistakes: docs/mistakes.md'
	@echo 'make survey     the suite on every library with an adapter, each in an environment of its own: docs/survey.md'
	@echo 'make test-without-torch   what can be tested without torch, in a .venv-without-torch'
	@echo 'make clean      remove all that was built and installed here, .venv included'
	@echo
	@echo 'Nothing has to be prepared: Python 3.10 or later, a C compiler and make are enough, and the first run installs'
	@echo 'the rest into .venv. Choose an interpreter and pass arguments on like this:'
	@echo
	@echo '    make test PYTHON=python3.12'
	@echo '    make test ARGS="-k padding"'
	@echo '    make check ARGS="--cases 2000 --seed 7"'
	@echo '    make soak ARGS="--seconds 600"'
	@echo '    make bench ARGS="--quick"'

# ---- The environment ----

# What the environment was made for. If the note in it says something else, or it does not run, it is made anew.
facts := import sys, sysconfig; print(sys.version.split()[0], sys.base_prefix, sysconfig.get_config_var("EXT_SUFFIX"))
wanted := $(shell $(PYTHON) -c '$(facts)' 2>/dev/null) $(CURDIR)
found := $(shell $(BIN)/python -c '$(facts)' 2>/dev/null) $(shell sed s/.*in:// $(VENV)/made-for 2>/dev/null)
ifneq "$(wanted)" "$(found)"
$(VENV)/made-for: always
endif

old_python := refconv needs Python 3.10 or later, but $(PYTHON) is {}; choose another one with PYTHON=python3.12, say
$(VENV)/made-for:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("$(old_python)".format(sys.version.split()[0]))'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@echo 'in:$(CURDIR)' > $@

comma := ,
# The note is hidden while pip is at work, so that an environment in which it was killed is not trusted.
define pip-install
@echo 'Installing $(1) into $(VENV) ...'
@mv $(VENV)/made-for $(VENV)/installing
@$(BIN)/python -m pip install -qq --disable-pip-version-check $(CONSTRAINTS) $(1) \
	|| { mv $(VENV)/installing $(VENV)/made-for; exit 1; }
@mv $(VENV)/installing $(VENV)/made-for
endef

SOURCES := pyproject.toml setup.py constraints.txt $(wildcard refconv/kernels/*.p[yx][xd] refconv/kernels/*.h)

# refconv itself, editable, with its kernels. build/ holds translations to C, in which an interrupted run or another
# release of Cython may have left its traces.
$(VENV)/refconv: $(SOURCES) $(VENV)/made-for
	@rm -rf build
	$(call pip-install,--editable '.[$(EXTRAS)]')
	@touch $@

# The kernels lie beside their sources, where they may have been removed from.
ifeq "$(wildcard refconv/kernels/exact$(word 3,$(wanted)))" ""
$(VENV)/refconv: always
endif

$(VENV)/lint: constraints.txt $(VENV)/made-for
	$(call pip-install,ruff cython-lint)
	@touch $@

$(VENV)/bench: pyproject.toml constraints.txt $(VENV)/refconv
	$(call pip-install,--editable '.[$(EXTRAS)$(comma)bench]')
	@touch $@

# Only the packages of the extra: installing refconv once more would compile it once more.
of_extra := from importlib.metadata import requires; \
	print(*[r.split(";")[0] for r in requires("refconv") if "extra == \"docs\"" in r and r[:7] != "refconv"], sep="\n")
$(VENV)/docs: pyproject.toml constraints.txt $(VENV)/refconv
	@$(BIN)/python -c '$(of_extra)' > $(VENV)/docs.txt
	$(call pip-install,--requirement $(VENV)/docs.txt)
	@touch $@

# ---- What is done in it ----

# A waiting OpenMP thread of torch's spins by default, which makes small convolutions slow on busy CPUs.
RUN := OMP_WAIT_POLICY=PASSIVE $(BIN)/python
TARGET := torch

# The two formats in which torch conforms: its transposed convolutions of float16 do not. ARGS= asks for all.
ifeq "$(origin ARGS) $(TARGET)" "undefined torch"
check: ARGS := --dtype float32 --dtype float64
endif
check: $(VENV)/refconv
	$(RUN) -m refconv check $(TARGET) $(ARGS)

# The doctests have a run of their own: with the import mode of the tests, pytest would import every module twice.
test: $(VENV)/refconv
	$(RUN) -m pytest -n auto --mpl $(ARGS)
	$(RUN) -m pytest --doctest-modules --import-mode=prepend $(DOCTEST_ARGS) refconv

# Left out are the modules that import torch, and tests that use it otherwise: by name, or, those listed here, without.
WITH_TORCH := tests/test_readme.py \
	$(filter-out %/test_determinism.py,$(shell grep -lE '^(import|from) (torch|conv_problems)|importorskip' tests/test_*.py))
USING_TORCH := torch or report_has_a_line
test-without-torch:
	$(MAKE) test VENV=.venv-without-torch EXTRAS=test-without-torch PYTHON=$(PYTHON) \
		ARGS="$(WITH_TORCH:%=--ignore=%) -k 'not ($(USING_TORCH))' $(ARGS)" \
		DOCTEST_ARGS="--ignore=refconv/torch -k 'not from_torch'"

lint: $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(BIN):$$PATH" cython-lint refconv/kernels

mutation: $(VENV)/refconv
	$(RUN) -m tools.mutation $(ARGS)

sanitize: $(VENV)/refconv
	$(RUN) tools/sanitize.py sanitize $(ARGS)

debug: $(VENV)/refconv
	$(RUN) tools/sanitize.py debug $(ARGS)

bench: $(VENV)/bench
	$(BIN)/python -m benchmarks $(ARGS)

# -n: every name must lead somewhere. -W: a warning is an error. The browser tests need Chromium and its driver.
docs: $(VENV)/docs
	@rm -rf docs/api/generated docs/_pictures
	$(RUN) -m sphinx -n -W -E --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	$(RUN) -m pytest tests/test_docs.py docs/tests $(ARGS)
	@echo 'Open docs/_build/html/index.html'

soak: $(VENV)/refconv
	$(RUN) tools/soak.py $(ARGS)

soak-oracle: $(VENV)/refconv
	$(RUN) -W ignore tools/soak_oracle.py $(ARGS)

kill-matrix: $(VENV)/refconv
	$(RUN) -W ignore tools/kill_matrix.py $(ARGS)

suite-matrix: $(VENV)/refconv
	$(RUN) -W ignore tools/suite_matrix.py $(ARGS)

suite-soak: $(VENV)/refconv
	$(RUN) -W ignore tools/suite_soak.py $(ARGS)

mistakes: $(VENV)/refconv
	$(RUN) -W ignore tools/mistakes_table.py

# Needs Python 3.11, some 6 GB of disk and two hours. ARGS="--only mlx" for one library, "--target torch" for one target,
# "--rest" for rows that had no time.
survey: $(VENV)/refconv
	$(RUN) tools/survey $(ARGS)

clean:
	rm -rf docs/_build docs/_pictures docs/api/generated
	rm -rf .venv .venv-without-torch build dist refconv.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -f refconv/kernels/*.so refconv/kernels/*.pyd refconv/kernels/*.c refconv/kernels/*.html
	find refconv tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} +
