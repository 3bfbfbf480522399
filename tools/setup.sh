#!/bin/sh
# Makes .venv: a Python from 3.10 to 3.13, exactly the packages of requirements.lock, and the project itself,
# editable. Run by `make setup`. Done again after an interruption, it completes or replaces what is there.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

is_usable() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# Prints the first usable Python, among what the user names, PATH and pyenv.
find_python() {
  for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-3].*/bin/python3; do
    if is_usable "$python"; then
      echo "$python"
      return
    fi
  done
  say "no Python from 3.10 to 3.13 found (python3: $(python3 --version 2>/dev/null || echo none))."
  say "Install one, or name it: make setup PYTHON=/path/to/python3.12"
  return 1
}

make_virtualenv() {
  python=$(find_python)
  say "making .venv with $("$python" --version) ($python)"
  rm -rf .venv
  if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$python" -m venv .venv
  elif command -v uv >/dev/null; then
    uv venv --quiet --seed --python "$python" .venv
  else
    say "$python has no venv and ensurepip modules; on Debian and Ubuntu: apt install python3-venv"
    return 1
  fi
}

# Prints the lock's entry of one package, with its hashes.
locked() {
  sed -n "/^$1==/,/[^\\\\]\$/p" requirements.lock
}

if ! is_usable .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  make_virtualenv
fi

locked uv > .venv/uv.txt
if ! .venv/bin/python -m uv --version 2>/dev/null | grep -qF "uv $(sed -n 's/^uv==\([^ ]*\).*/\1/p' .venv/uv.txt)"; then
  say "installing uv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.txt
fi

export UV_PYTHON_DOWNLOADS=never
say "installing the locked packages"
.venv/bin/python -m uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
.venv/bin/python -m uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
say "done"
