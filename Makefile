# Each target forwards to the `lrreport` command; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: docs help setup data report status plan pdf lab test test-slow check bench notebooks lock clean

# Settings come from the command line alone: WSL, for one, sets NAME in every shell. They reach neither make's expansion
# ($(value ...)) nor the shell's (single quotes), nor the environment of what runs. With `override` that holds for -e too.
override KNOWN := STUDY LRS SEEDS MOST_SEEDS CONFIRM EPOCHS JOBS SCHEDULER DEVICE NAME OUTPUTS PYTHON
unexport $(KNOWN) PYTHONPATH PYTHONHOME
override GIVEN := $(foreach .name,$(.VARIABLES),$(if $(filter command,$(origin $(.name))),$(.name)))
override UNKNOWN := $(filter-out $(KNOWN) MAKE%,$(GIVEN))
$(if $(UNKNOWN),$(error no variable $(UNKNOWN); there are $(KNOWN)))
override CHOOSE := STUDY LRS SEEDS EPOCHS DEVICE NAME OUTPUTS
override TAKEN_report := $(CHOOSE) MOST_SEEDS CONFIRM JOBS SCHEDULER
override TAKEN_pdf := $(TAKEN_report)
override TAKEN_status := $(CHOOSE)
override TAKEN_plan := $(CHOOSE)
override TAKEN_data := STUDY
override GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
override UNUSED := $(filter-out PYTHON $(foreach .goal,$(GOALS),$(TAKEN_$(.goal))),$(filter $(KNOWN),$(GIVEN)))
$(if $(UNUSED),$(error $(GOALS) does not take $(UNUSED)))
override define newline


endef
override SEVERAL := $(strip $(foreach .name,$(filter $(KNOWN),$(GIVEN)),$(if $(findstring $(newline),$(value $(.name))),$(.name))))
$(if $(SEVERAL),$(error $(SEVERAL) has a line break; leave it out))

override SHELL := /bin/sh
# Not the scripts in .venv/bin, which do not start where the clone's path has a double quote. -P keeps the folder that
# make is called in off the module path.
override RUN := .venv/bin/python -P -m
override LRREPORT := $(RUN) lrreport
# Python answers Ctrl-C with a traceback until our first line runs, so what is ours starts deaf to it.
override COMMAND := trap '' INT; $(LRREPORT)

override quote = '$(subst ','\'',$(value $(1)))'
override option = $(if $(filter command,$(origin $(1))),$(if $(value $(1)),$(2)=$(call quote,$(1))))
override flag = $(if $(filter command,$(origin $(1))),$(if $(filter-out 0 no No NO false False FALSE off,$(value $(1))),$(2)))
override SETTINGS = $(call option,LRS,--learning-rates) $(call option,SEEDS,--seeds) $(call option,EPOCHS,--epochs) \
  $(call option,DEVICE,--device) $(call option,NAME,--name) $(call option,OUTPUTS,--outputs)
override RUNNING = $(call option,MOST_SEEDS,--most-seeds) $(call flag,CONFIRM,--confirm) $(call option,JOBS,--jobs) \
  $(call option,SCHEDULER,--scheduler)
override PYTHON_COMMAND = $(if $(filter command,$(origin PYTHON)),$(call quote,PYTHON),python3)
override STUDY_FILE = $(if $(filter command,$(origin STUDY)),$(call quote,STUDY),studies/fashion_mnist.toml)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' Makefile

setup: ## build .venv from requirements.lock, if it is not up to date
	@$(PYTHON_COMMAND) tools/setup_venv.py

data: setup ## find, fetch and verify the data of STUDY
	@$(COMMAND) data $(STUDY_FILE)

report: setup ## make the report on STUDY; also LRS="0.01 0.001" SEEDS="0 1" MOST_SEEDS=20 CONFIRM=1 EPOCHS=10 JOBS=2 SCHEDULER=tls://host:8786 DEVICE=cpu NAME=mine
	@$(COMMAND) report $(STUDY_FILE) $(SETTINGS) $(RUNNING)

status: setup ## say which runs of STUDY are kept, missing or stale, and why
	@$(COMMAND) status $(STUDY_FILE) $(SETTINGS)

plan: setup ## say how many seeds STUDY needs, and what they cost
	@$(COMMAND) plan $(STUDY_FILE) $(SETTINGS)

pdf: setup ## make the report on STUDY as above, and print it to report.pdf where Chromium is installed
	@$(COMMAND) pdf $(STUDY_FILE) $(SETTINGS) $(RUNNING)

lab: setup ## open the notebooks in JupyterLab
	@.venv/bin/python -m jupyter lab --notebook-dir=notebooks

test: setup ## run the tests, the notebooks included (a few minutes)
	@$(LRREPORT) data && .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env notebooks tests

test-slow: setup ## run the slow tests: faults, browser, whole studies
	@$(LRREPORT) data && .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m slow tests

check: setup ## lint, formatting and types
	@$(RUN) ruff check . && $(RUN) ruff format --check . && .venv/bin/python -m mypy

bench: setup ## measure how fast all this is, beside the plain way (half an hour)
	@.venv/bin/python -m benchmarks.run

notebooks: setup ## execute the committed notebooks again and refresh the reference and the pictures
	@.venv/bin/python tools/refresh_notebooks.py && .venv/bin/python tools/take_pictures.py

docs: setup ## write the generated pages of docs/
	@.venv/bin/python tools/write_docs.py

lock: ## pin the newest versions that pyproject.toml allows, in requirements.lock
	@$(PYTHON_COMMAND) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv && .venv-lock/bin/uv pip compile pyproject.toml \
	  --extra dev --universal --python-version 3.11 --no-annotate --no-header --generate-hashes --upgrade --output-file requirements.lock
	@rm -rf .venv-lock

clean: ## remove reports and caches; runs and the reference stay
	@find outputs -mindepth 1 -maxdepth 1 ! -name runs ! -name reference -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis
