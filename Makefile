# Each target forwards to the `lrreport` command; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup data report pdf lab test test-slow check bench notebooks lock clean
SHELL := /bin/sh
PYTHON ?= python3
STUDY ?= studies/fashion_mnist.toml
# Not the scripts in .venv/bin, which do not start where the clone's path has a double quote.
RUN := .venv/bin/python -m
LRREPORT := $(RUN) lrreport.cli
unexport PYTHONPATH PYTHONHOME # modules of the user's own must not stand in for those of .venv

KNOWN := STUDY LRS SEEDS EPOCHS JOBS SCHEDULER DEVICE NAME PYTHON
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(KNOWN) MAKE%,$(GIVEN))
$(if $(UNKNOWN),$(error no variable $(UNKNOWN); there are $(KNOWN)))

# A value as one word of the shell, whatever it contains.
quote = '$(subst ','\'',$(1))'
option = $(if $($(1)),$(2)=$(call quote,$($(1))))
STUDY_ARGUMENTS = $(call quote,$(STUDY)) $(call option,LRS,--learning-rates) $(call option,SEEDS,--seeds) \
  $(call option,EPOCHS,--epochs) $(call option,DEVICE,--device) $(call option,NAME,--name)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' Makefile

setup: ## build .venv from requirements.lock, if it is not up to date
	@$(PYTHON) src/lrreport/setup_venv.py

data: setup ## find, fetch and verify the data of STUDY
	@$(LRREPORT) data $(call quote,$(STUDY))

report: setup ## make the report on STUDY; also LRS="0.01 0.001" SEEDS="0 1" EPOCHS=10 JOBS=2 SCHEDULER=tls://host:8786 DEVICE=cpu NAME=mine
	@$(LRREPORT) report $(STUDY_ARGUMENTS) $(call option,JOBS,--jobs) $(call option,SCHEDULER,--scheduler)

pdf: setup ## make the report on STUDY as above, and print it to report.pdf where Chromium is installed
	@$(LRREPORT) pdf $(STUDY_ARGUMENTS)

lab: setup ## open the notebooks in JupyterLab
	@$(RUN) jupyter lab --notebook-dir=notebooks

test: setup ## run the tests, the notebooks included (under 5 minutes)
	@$(LRREPORT) data && $(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env notebooks tests

test-slow: setup ## run the slow tests: faults, browser, whole studies
	@$(LRREPORT) data && $(RUN) pytest -n 2 --dist loadfile -m slow tests

check: setup ## lint, formatting and types
	@$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy

bench: setup ## measure how fast all this is, beside the plain way (half an hour)
	@$(LRREPORT) bench

notebooks: setup ## execute the committed notebooks again and refresh the reference and the pictures
	@$(LRREPORT) notebooks && $(firstword $(RUN)) .github/take_pictures.py

lock: ## pin the newest versions that pyproject.toml allows, in requirements.lock
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv && .venv-lock/bin/uv pip compile pyproject.toml \
	  --extra dev --universal --python-version 3.11 --no-annotate --no-header --upgrade --output-file requirements.lock
	@rm -rf .venv-lock

clean: ## remove reports and caches; runs and the reference stay
	@find outputs -mindepth 1 -maxdepth 1 ! -name runs ! -name reference -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
