#!/usr/bin/env bash
# Install the Debian packages whose command is missing.
#
# usage: scripts/install_packages.sh PACKAGE=COMMAND ...
#
# As root it installs them with apt-get. Otherwise it says in one line what is missing and ends
# with 1. Nothing missing: says nothing, changes nothing, ends with 0.
set -euo pipefail

# A person's PATH may lack the folder of servers such as nginx.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

missing=()
for pair in "$@"; do
  command -v "${pair#*=}" >/dev/null || missing+=("${pair%%=*}")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing: ${missing[*]}; as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
