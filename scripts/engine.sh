# Sourced by the scripts that run other people's servers for the tests.
# Every engine keeps its state in one directory; nothing listens beyond loopback.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Standard output belongs to the result (a URL, an address); everything else goes to standard error.
say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# free_port prints a port below the ephemeral range on which nothing answers.
free_port() {
  local port
  for _ in $(seq 200); do
    port=$((20000 + RANDOM % 10000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  die "found no free port between 20000 and 29999"
}

# debian_package NAME WHAT_FOR installs one package as root, or says what a person has to do.
debian_package() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "$2 is missing: install it (on Debian: apt-get install $1) and run this again"
  fi
  say "installing $1 ($2) with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq -o DPkg::Lock::Timeout=300 update &&
    apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$1"; } >&2 ||
    die "apt-get could not install $1"
}

# our_process PID TEXT tells whether PID runs and has TEXT in its command line. A pid that
# was written down before a reboot may belong to another process today.
our_process() {
  [ -n "$1" ] && [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$2"
}

# wait_until SECONDS COMMAND... repeats COMMAND until it succeeds.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}
