# Everything runs in .venv, which `make setup` fills; no ROS installation is needed.
PYTHON ?=
RUN := .venv/bin/python

# Where a real ROS is sourced, keep its modules and libraries out of .venv's way.
ifneq ($(AMENT_PREFIX_PATH),)
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
unexport RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE
demo test lint bench: export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint table bench clean distclean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup:  ## fill .venv with ROS 2, torch and the rest (PYTHON=python3.12 chooses the Python)
	@command -v $(or $(PYTHON),python3) >/dev/null || { \
		echo "$(or $(PYTHON),python3) is missing: install Python 3.10 to 3.13," \
		"on Debian or Ubuntu with \`apt-get install python3\`."; exit 1; } >&2
	@$(or $(PYTHON),python3) tools/bootstrap.py $(if $(PYTHON),--python $(PYTHON))

demo: setup  ## localize a talker in a simulated room, without hardware
	@$(RUN) -m nsrp_ros.apps.demo.main

test: setup  ## run the tests and the linters
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile

lint: setup  ## run the linters only
	@$(RUN) -m pytest -q test/quality/test_flake8.py test/quality/test_pep257.py test/quality/test_mypy.py

table: setup  ## score the models and print the table of results
	@$(RUN) -m nsrp_ros.evaluation.evaluate

bench: setup  ## time the methods and the node, count operations; runs/bench, runs/node_timing
	@$(RUN) -m nsrp_ros.benchmarks.cpu_latency
	@$(RUN) -m nsrp_ros.apps.soak_test.node_timing

clean:  ## remove what builds, tests and the demo leave behind
	rm -rf build install log demo_output .pytest_cache .mypy_cache *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean  ## remove .venv as well
	rm -rf .venv
