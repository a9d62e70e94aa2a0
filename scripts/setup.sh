# Sourced by scripts/demo, scripts/test and scripts/check: makes .venv as the lock says, and installs missing Debian
# packages where it may. A second call does nothing and takes no time.
# Takes: packages, the Debian packages that the caller needs.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lacking=()
for package in python3-venv "${packages[@]}"; do
    # any Python with a working venv will do
    if [ "$package" = python3-venv ] && python3 -c 'import ensurepip, venv' 2>/dev/null; then continue; fi
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then lacking+=("$package"); fi
done

if [ ${#lacking[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then root=(); elif sudo -n true 2>/dev/null; then root=(sudo); else
        echo "Missing system packages. Install them, then run this again:"
        echo "  sudo apt-get install --no-install-recommends ${lacking[*]}"
        exit 1
    fi
    echo "Installing system packages: ${lacking[*]}"
    # the servers among them are started by the tests alone, not by the system
    guard=/usr/sbin/policy-rc.d
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $guard >/dev/null
        "${root[@]}" chmod +x $guard
        trap '"${root[@]}" rm -f "$guard"' EXIT
    fi
    log=$(mktemp)
    if ! {
        "${root[@]}" apt-get update -q &&
            "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${lacking[@]}"
    } >"$log" 2>&1; then
        tail -n 20 "$log"
        echo "The installation failed; the whole log is $log"
        exit 1
    fi
    rm -f "$log"
    if [ -n "$(trap -p EXIT)" ]; then
        "${root[@]}" rm -f $guard
        trap - EXIT
    fi
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; this is $(python3 --version)"
    exit 1
}
wanted=$(cat requirements.lock pyproject.toml | sha256sum)
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
    echo "Making .venv (about two minutes the first time)"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    total=$(grep -c '^[a-z0-9].*==' requirements.lock)
    .venv/bin/pip install --disable-pip-version-check --progress-bar off --require-hashes --no-deps \
        -r requirements.lock 2>&1 | awk -v total="$total" '
            /^ *(Collecting|Ignoring|Requirement already)/ { n++; printf "\r  %d of %d packages", n, total; fflush() }
            /^Installing/ { printf "\r  installing %d packages, this is the longest part ...", n; fflush() }
            /ERROR|[Nn]o space/ { print "\n" $0 }
            END { print "" }'
    PYTHONWARNINGS=ignore .venv/bin/pip install --disable-pip-version-check -q --no-deps --no-build-isolation --config-settings \
        editable_mode=compat -e .
    echo "$wanted" >.venv/installed
fi
