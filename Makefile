# Developing, trying and testing ocpv.scale. Everything is kept below .cache; `make clean` removes it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

SCENARIO ?= small
REPORT ?= demo-report
PYTEST_ARGS ?=
# tests against a cluster wait more than they compute
WORKERS ?= 4
BIN := .cache/venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/link:$(CURDIR)/.cache/collections
export PYTHONPATH := $(CURDIR)/.cache/link:$(CURDIR)/.cache/collections:$(CURDIR)/tests
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export ANSIBLE_LOCALHOST_WARNING := false
export MYPYPATH := $(CURDIR)/tests
# without pytest-ansible, which pyproject.toml's options are for and which needs Python 3.10
OLDER := -o addopts="--strict-markers --import-mode=importlib -ra -p compat.older -p no:cacheprovider" \
    -q -n 2 --dist loadfile
# unit tests of modules' code that start on Python 3.9 without ansible-core
WITHOUT_ANSIBLE := tests/unit/plugins/module_utils $(addprefix --ignore=tests/unit/plugins/module_utils/, \
    cluster test_ansible_support.py rebalance/run/test_options.py)

.PHONY: help env setup setup-system demo test lint sanity unit integration conformance conformance-if-available conformance-own ceph cni docs build oldest hosts molecule bench lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Make the environment below .cache (quick when it is there)
	@python3 tests/env/setup.py

env:
	@echo "export PATH='$(PATH)' ANSIBLE_COLLECTIONS_PATH='$(ANSIBLE_COLLECTIONS_PATH)' PYTHONPATH='$(PYTHONPATH)' MYPYPATH='$(MYPYPATH)'"

setup-system:
	@python3 tests/env/setup.py --system

demo: setup ## Run the staged rebalance on an embedded cluster (SCENARIO=small|reference), leave a report in demo-report
	@python -m demo --scenario $(SCENARIO) --report $(REPORT)

test: setup-system lint sanity build unit oldest cni hosts ceph molecule integration conformance-if-available ## Run everything

lint: setup ## Format, types, YAML, Ansible content, documentation
	ruff check .
	ruff format --check .
	mypy
	yamllint --strict .
	ansible-lint --offline
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all .
	antsibull-changelog lint
	python tests/env/generate_docs.py --check

sanity: setup ## ansible-test sanity on a copy of the collection
	python tests/env/sanity.py

unit: setup ## Pure code: tables and properties
	pytest tests/unit -n 2 --dist loadfile $(PYTEST_ARGS)

oldest: setup ## The oldest supported versions: unit tests, and playbooks against the simulated cluster
	@python3 tests/env/setup.py --oldest
	if [ -x .cache/oldest/bin/python ]; then \
	    .cache/oldest/bin/python -m pytest $(OLDER) tests/unit/plugins; fi
	if [ -x .cache/oldest-modules/bin/python ]; then \
	    PYTHONPYCACHEPREFIX=.cache/compiled .cache/oldest-modules/bin/python -m compileall -q -f plugins; \
	    .cache/oldest-modules/bin/python -m pytest $(OLDER) $(WITHOUT_ANSIBLE); fi
	pytest tests/compat -n 2 --dist loadscope

integration: setup ## Modules, role and playbooks against the simulated cluster
	pytest tests/integration -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

conformance: setup ## The same tests against a real kube-apiserver, built from Go modules the first time
	@python -m conformance -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

conformance-if-available: setup
	@python -m conformance --if-available -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

conformance-own: setup ## Try the API of your own cluster, which KUBECONFIG names; says first what it touches and asks
	@python -m conformance --own-cluster $(PYTEST_ARGS)

cni: setup ## Migration networks by the real CNI plugins and by nmstate's own parser
	pytest tests/cni tests/nmstate -n 0 $(PYTEST_ARGS)

ceph: setup ## The modules, role and playbook for Ceph on real clusters of 3 and 12 OSDs (Debian's packages)
	pytest tests/ceph -n 3 --dist loadfile $(PYTEST_ARGS)

docs: setup ## Write the module reference in docs/reference from the code
	python tests/env/generate_docs.py

build: setup ## Build the collection's tarball below .cache/dist
	rm -rf .cache/dist
	ansible-galaxy collection build --force --output-path .cache/dist .
	python tests/env/check_build.py .cache/dist

hosts: setup ## Host tuning on real kernels: namespaces of this one, and User-Mode-Linux (root, or user namespaces)
	pytest tests/host -n 2 --dist loadfile $(PYTEST_ARGS)

molecule: setup ## The roles that configure something, by molecule
	NO_COLOR=1 molecule test --all --no-command-borders

bench: setup ## Benchmarks, each beside its peer or its limit
	python -m bench

lock: setup ## Renew the locks in requirements from the .in files
	python -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet uv
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-emit-index-url requirements/dev.in -o requirements/dev.txt
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-emit-index-url --no-deps requirements/collections.in -o requirements/collections.txt
	.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.9 --generate-hashes --no-header --no-emit-index-url requirements/oldest.in -o requirements/oldest.txt

clean: ## Remove all that setup and tests left
	rm -rf .cache .ansible demo-report
