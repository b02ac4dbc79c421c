#!/usr/bin/env bash
# One-shot summary of training logs, from a fresh checkout:  watch -n 30 ./monitor_training.sh [LOG]...
# Sets up its own environment the first time; holds no logic of its own.
set -eu
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
command=$here/.venv/bin/nanwatch
installed=$here/.venv/.nanwatch
if [ ! -x "$command" ] || [ ! -f "$installed" ] || [ -n "$(find "$here/nanwatch" "$here/pyproject.toml" -newer "$installed" -name '*.*' -print -quit)" ]; then
    echo "nanwatch: setting up $here/.venv ..." >&2
    for python in python3 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
        python=
    done
    [ -n "$python" ] || { echo "nanwatch: needs Python 3.11 or newer" >&2; exit 2; }
    "$python" -m venv "$here/.venv" && "$here/.venv/bin/pip" install --quiet --disable-pip-version-check "$here" >&2 \
        && touch "$installed"
fi
exec "$command" summary "$@"
