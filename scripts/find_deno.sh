# shellcheck shell=sh
# Sourced by the scripts beside it: finds Deno, or takes it from npm.

# The oldest Deno that pg2kinesis runs on, and the one taken from npm where none is found.
oldest_deno=2.4
npm_deno=2.9.6

# Behind a proxy with a certificate authority of its own, Deno needs the system's certificates.
export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"
export DENO_NO_UPDATE_CHECK=1

# Downloads are kept in the user's cache; for a user without a home, in /tmp.
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
if [ -z "$cache" ] || ! mkdir -p "$cache/pg2kinesis" 2>/dev/null || [ ! -w "$cache/pg2kinesis" ]; then
  cache=${TMPDIR:-/tmp}/cache-$(id -u)
  [ -d "$cache" ] || mkdir -m 700 "$cache"
  # Anybody could have made it first, or a link to a folder of ours.
  if [ -L "$cache" ] || [ ! -O "$cache" ]; then
    echo "$cache is a link, or belongs to another user: remove it" >&2
    exit 1
  fi
  mkdir -p "$cache/pg2kinesis"
  export DENO_DIR="${DENO_DIR:-$cache/deno}"
fi

# Whether the version $1 (2.9.6) is at least $oldest_deno.
is_new_enough() {
  major=${1%%.*}
  rest=${1#*.}
  minor=${rest%%.*}
  case $major$minor in *[!0-9]* | '') return 1 ;; esac
  [ "$major" -gt "${oldest_deno%%.*}" ] ||
    { [ "$major" -eq "${oldest_deno%%.*}" ] && [ "$minor" -ge "${oldest_deno#*.}" ]; }
}

# Prints the version of the Deno executable $1; nothing when it cannot be run.
deno_version() {
  "$1" --version 2>/dev/null </dev/null | sed -n '1s/^deno \([0-9][0-9.]*\).*/\1/p'
}

# Prints the path of a Deno that is new enough: the one on PATH, else npm's, kept for the next time.
find_deno() {
  if on_path=$(command -v deno); then
    version=$(deno_version "$on_path")
    if is_new_enough "$version"; then
      echo "$on_path"
      return
    fi
    echo "$on_path is Deno ${version:-of no known version}, too old: $oldest_deno is needed" >&2
  fi
  deno_from_npm "$cache/pg2kinesis/deno-$npm_deno"
}

# Prints the path of the Deno that npm has put, or now puts, into the folder $1.
deno_from_npm() {
  if [ ! -x "$1/deno" ]; then
    if ! command -v npm >/dev/null; then
      echo "cannot find Deno $oldest_deno or newer, nor npm to take it from:" \
        "install Deno (https://deno.com) or Node.js with npm" >&2
      return 1
    fi
    echo "taking Deno $npm_deno from npm into $1" >&2
    draft=$(mktemp -d "$1.XXXXXX") || return 1
    # A project of its own rather than --prefix, which would move npm's global configuration away, and
    # with it a company's mirror. The package's install script only copies the executable, and npm may
    # skip it.
    if ! (
      cd "$draft" && echo '{ "private": true }' >package.json &&
        npm install --global=false --cache "$PWD/cache" --no-audit --no-fund --no-update-notifier \
          --ignore-scripts --loglevel=error "deno@$npm_deno" >&2
    ); then
      rm -rf "$draft"
      echo "cannot install deno@$npm_deno with npm; its messages are above" >&2
      return 1
    fi
    mkdir -p "$1"
    for executable in "$draft"/node_modules/@deno/*/deno; do
      if [ -x "$executable" ]; then mv "$executable" "$1/deno"; fi
    done
    rm -rf "$draft"
  fi
  if [ -z "$(deno_version "$1/deno")" ]; then
    echo "npm has no Deno $npm_deno that runs on $(uname -sm): install Deno $oldest_deno or newer" >&2
    return 1
  fi
  echo "$1/deno"
}
