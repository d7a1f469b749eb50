.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# What a command may be given: make train DATA=pictures SET="lr=0.1 epochs=3" LOCAL=1
# DATA and WEIGHTS are one path each, of any letters. SET, RANGE and IMAGE are lists that the shell
# splits:
# make predict IMAGE="photo.jpg 'my dog.jpg'"
LOCAL ?=
DATA ?=
WEIGHTS ?=
MODEL ?=
SET ?=
RANGE ?=
JOB ?=
FROM ?=
TUNE ?=
TUNED ?= 1
PROFILE ?=
ENDPOINT ?=
IMAGE ?=
ARGS ?=

# The same command, against AWS or against this machine: only its environment differs.
KENNEL = $(if $(LOCAL),$(BIN)/kennel local run -- )$(BIN)/kennel
quoted = '$(subst ','\'',$(1))'
GIVEN = $(if $(DATA),--data $(call quoted,$(DATA))) \
  $(if $(WEIGHTS),--weights $(call quoted,$(WEIGHTS)))
CHOSEN = $(if $(MODEL),--set model=$(MODEL)) $(foreach one,$(SET),--set $(one))
AT = $(if $(ENDPOINT),--endpoint $(ENDPOINT))

##@ Try it

.PHONY: demo
demo: $(READY) ## From pictures to predictions, on this machine alone [DATA= WEIGHTS= MODEL= TUNE=1]
	@$(BIN)/kennel demo $(GIVEN) $(if $(MODEL),--model $(MODEL)) $(if $(TUNE),--tune) $(ARGS)

##@ Work with SageMaker, or with LOCAL=1 on this machine

.PHONY: data
data: $(READY) ## Check the pictures and upload what has changed [DATA=folder]
	@$(if $(DATA),$(BIN)/kennel data check $(call quoted,$(DATA)))
	@$(KENNEL) data stage $(if $(DATA),$(call quoted,$(DATA))) $(ARGS)

.PHONY: tune
tune: $(READY) ## Search hyperparameters [DATA= WEIGHTS= MODEL= SET= RANGE="lr=0.001..0.1"]
	@$(KENNEL) tune $(GIVEN) $(CHOSEN) $(foreach one,$(RANGE),--range $(one)) $(ARGS)

# With what the last search here has found, if it was of such a training; without it: TUNED=
.PHONY: train
train: $(READY) ## Train and follow the job [DATA= WEIGHTS= MODEL= SET="lr=0.1" TUNED= PROFILE=1]
	@$(KENNEL) train $(GIVEN) $(CHOSEN) $(if $(TUNED),--tuned) $(if $(PROFILE),--profile) $(ARGS)

.PHONY: report
report: $(READY) ## Say where a job's time went and what its rules found [JOB= or JOB="one another"]
	@$(KENNEL) report $(JOB) $(ARGS)

.PHONY: rules
rules: $(READY) ## Judge the tensors of a folder, of s3://... or of a job [FROM= or JOB=]
	@$(KENNEL) rules $(or $(if $(FROM),$(call quoted,$(FROM))),$(JOB)) $(ARGS)

.PHONY: tuning
tuning: $(READY) ## Write the report of the latest search, for a browser [JOB=]
	@$(KENNEL) tuning report $(JOB) $(ARGS)

.PHONY: deploy
deploy: $(READY) ## Put the latest model behind an endpoint [JOB= ENDPOINT=]
	@$(KENNEL) deploy $(JOB) $(AT) $(ARGS)

.PHONY: predict
predict: $(READY) ## Classify pictures: IMAGE="a.jpg folder" [ENDPOINT=]
	@$(KENNEL) predict $(or $(IMAGE),$(error set IMAGE to pictures, or to folders of pictures)) \
	  $(AT) $(ARGS)

.PHONY: delete
delete: $(READY) ## Delete the endpoint and what was made for it [ENDPOINT=]
	@$(KENNEL) delete $(AT) $(ARGS)

.PHONY: jobs
jobs: $(READY) ## List the training jobs
	@$(KENNEL) jobs $(ARGS)

.PHONY: logs
logs: $(READY) ## Follow the log of the latest job [JOB=]
	@$(KENNEL) logs $(JOB) --follow $(ARGS)

.PHONY: local-start
local-start: $(READY) ## Start the local server, if it does not run
	@$(BIN)/kennel local start

.PHONY: local-stop
local-stop: $(READY) ## Stop it; its jobs and objects are kept
	@$(BIN)/kennel local stop

.PHONY: local-status
local-status: $(READY) ## Say whether it runs, and where
	@$(BIN)/kennel local status

##@ Images

# Read by scripts/build_image.sh and docker/README.md says what they are. The build trusts what pip
# and TLS trust on this machine, through secrets that enter no image.
BASE_IMAGE ?=
TORCH_VERSION ?=
IMAGENET_WEIGHTS ?=
PIP_CONF ?= $(firstword $(wildcard ~/.config/pip/pip.conf ~/.pip/pip.conf /etc/pip.conf))
CA_BUNDLE ?= $(wildcard /etc/ssl/certs/ca-certificates.crt)
export BASE_IMAGE TORCH_VERSION IMAGENET_WEIGHTS PIP_CONF CA_BUNDLE PYTHON

.PHONY: build
build: build-train build-serve ## Build both images: kennel-train, and kennel-serve for CPUs

.PHONY: build-train
build-train: ## Build the training image [BASE_IMAGE= TORCH_VERSION= IMAGENET_WEIGHTS=]
	@scripts/build_image.sh kennel-train

.PHONY: build-serve
build-serve: ## Build the serving image for CPUs [BASE_IMAGE=]
	@scripts/build_image.sh kennel-serve

.PHONY: build-gpu
build-gpu: ## Build the serving image for GPUs, kennel-serve-gpu [BASE_IMAGE= TORCH_VERSION=]
	@scripts/build_image.sh kennel-serve-gpu

.PHONY: smoke
smoke: ## Train, serve and predict once with the images, through docker run
	@scripts/smoke.sh

.PHONY: push
push: $(READY) ## Push the images of this commit to ECR; train and deploy take them [LOCAL=1]
	@$(if $(LOCAL),$(BIN)/kennel local run -- )scripts/push_ecr.sh $(ARGS)

.PHONY: sbom
sbom: ## Write the images' bills of materials into build/sbom
	@$(PYTHON) scripts/sbom.py

##@ Develop

.PHONY: setup
setup: $(READY) ## Make .venv with the pinned requirements

.PHONY: check
check: lint ## Format, lint, types and unit tests
	$(BIN)/python -m pytest tests/unit

.PHONY: test
test: lint ## All of it: format, lint, types and every test
	$(BIN)/python -m pytest

.PHONY: lint
lint: $(READY) ## Format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: fix
fix: $(READY) ## Apply every automatic fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: ## Write the pinned, hashed requirements again (needs uv)
	requirements/compile.sh

.PHONY: clean
clean: ## Remove caches and what the demo left; .venv and the local server's state are kept
	rm -rf .kennel/demo .mypy_cache .pytest_cache .ruff_cache build dist
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: preflight
preflight:
	@PYTHON=$(PYTHON) scripts/preflight.sh $(if $(wildcard $(READY)),2,10)

# Whatever needs the environment makes it; what the machine lacks is said first, every time.
$(READY): requirements/dev.txt pyproject.toml | preflight
	@echo "Setting up .venv: about 2.5 GB to download the first time, which takes minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --no-input --progress-bar off \
	  --require-hashes --requirement requirements/dev.txt 2> >($(WITHOUT_WARNINGS)) | $(BRIEFLY)
	@$(BIN)/pip install --disable-pip-version-check --quiet --quiet --no-build-isolation --no-deps \
	  --editable .
	@touch $@

# Of what pip says, what takes long.
BRIEFLY = sed -nuE -e 's/^ *(Downloading .*)/  \1/p' -e 's/^(Installing) .*/  \1 …/p'
# Of its errors, all.
WITHOUT_WARNINGS = sed -uE '/^(WARNING|DEPRECATION):/d' >&2

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z -]+:.*## / {sub(/: .*/, "", $$1); printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
