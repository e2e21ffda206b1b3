# `make`: environment, then the default experiment. Everything happens in .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
EXPERIMENT ?= scenes
FOLDER ?=

.PHONY: experiment smoke folder-given photos test lint publish schema memory torture
.DELETE_ON_ERROR:

experiment: $(INSTALLED)
	$(RUN) snakemake --cores all

smoke: $(INSTALLED)
	$(RUN) snakemake --cores all --configfile config/smoke.yaml

# Asked before the installation, not minutes later.
folder-given:
	@test -n "$(FOLDER)" || { echo "error: FOLDER: missing, expected make photos FOLDER=<folder with captions.json and images/>" >&2; exit 2; }

photos: folder-given $(INSTALLED)
	$(RUN) snakemake --cores all --configfile config/photos.yaml --config 'datasets={photos-caption: {folder: "$(FOLDER)"}}'

# A file of tests on each core: most take one.
test: $(INSTALLED)
	$(RUN) python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: $(INSTALLED)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

publish: $(INSTALLED)
	$(RUN) fastvlm publish --experiment $(EXPERIMENT)

schema: $(INSTALLED)
	$(RUN) fastvlm schema > workflow/schemas/config.schema.yaml

memory: $(INSTALLED)
	$(RUN) python -m benchmarks.memory

# TORTURE_KILLS=60 and TORTURE_SEED=1 unless the environment says otherwise.
torture: $(INSTALLED)
	$(RUN) python -m tests.torture

# The stamp is made last, so that an installation that was interrupted is begun again.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON): found $$($(PYTHON) --version 2>&1), expected Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) python -m pip install --disable-pip-version-check --editable '.[test]'
	@touch $@
