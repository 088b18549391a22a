#!/bin/sh
# Installs pg2kinesis, or another version of it: takes the executable for this machine from a
# release, compares its SHA-256, and puts it into $PREFIX/bin. A run that goes on is not disturbed.
#
#   sh install.sh
#
# PREFIX           where to, /usr/local unless set
# PG2KINESIS_URL   where a release's files are; the install.sh of a release knows its own.
#                  https://, or http:// to this machine itself
#
# Needs curl or wget, and sha256sum, shasum or openssl.
set -eu

# Written in by .github/workflows/release.yml.
release_url=
url=${PG2KINESIS_URL:-$release_url}
prefix=${PREFIX:-/usr/local}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# Prints the end of the name of the executable for this machine.
find_target() {
  case $(uname -m) in
    x86_64 | amd64) processor=x86_64 ;;
    aarch64 | arm64) processor=aarch64 ;;
    *) fail "there is no executable for a $(uname -m) processor, only for x86_64 and arm64" ;;
  esac
  case $(uname -s) in
    Linux)
      # Deno's runtime is made for the GNU C library.
      if ldd --version 2>&1 | grep -qi musl; then
        fail "the executable needs the GNU C library, and this system has musl (as Alpine does)"
      fi
      echo "$processor-unknown-linux-gnu"
      ;;
    Darwin) echo "$processor-apple-darwin" ;;
    *) fail "there is no executable for $(uname -s) here; the one for Windows is a .exe to download" ;;
  esac
}

# Whoever is on the way could change the sums together with the executable.
refuse_plain_http() {
  case $url in
    [Hh][Tt][Tt][Pp][Ss]://*) scheme='=https' ;;
    [Hh][Tt][Tt][Pp]://*)
      # http://user@host:port/path
      host=${url#*://}
      host=${host%%[/?#]*}
      host=${host##*@}
      case $host in
        localhost | localhost:* | '[::1]' | '[::1]':*) ;;
        127.*[!0-9.:]*) fail "$url $is_plain" ;;
        127.*) ;;
        *) fail "$url $is_plain" ;;
      esac
      scheme='=http,https'
      ;;
    *) fail "$url is no https:// address" ;;
  esac
}

is_plain='is plain http, which anybody on the way can change: an https:// address is needed'

# Writes what the address $1 has to the file $2.
download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --proto "$scheme" --proto-redir =https \
      --output "$2" "$1" >&2 || fail "cannot download $1"
  elif command -v wget >/dev/null; then
    wget -S -O "$2" "$1" >"$draft/log" 2>&1 || {
      # The last line says what went wrong; indented ones are the server's.
      # shellcheck disable=SC2016
      sed -n '/^[^ ]/h;${x;p;}' "$draft/log" >&2
      fail "cannot download $1"
    }
    # wget cannot be told where not to be led.
    location=$(sed -n 's|^ *[Ll]ocation: *\([Hh][Tt][Tt][Pp]://[^ ]*\).*|\1|p' "$draft/log")
    [ -z "$location" ] || fail "cannot download $1: it leads to $location, which $is_plain"
  else
    fail "neither curl nor wget is here to download with"
  fi
}

# Prints the SHA-256 of the file $1.
sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  elif command -v shasum >/dev/null; then
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  elif command -v openssl >/dev/null; then
    openssl dgst -sha256 <"$1" | sed 's/.* //'
  else
    fail "neither sha256sum, shasum nor openssl is here to check the download with"
  fi
}

# mv would put the executable into it.
refuse_folder() {
  [ ! -d "$prefix/bin/pg2kinesis" ] ||
    fail "$prefix/bin/pg2kinesis is a folder: move it away or set another PREFIX; nothing is installed"
}

# All of it is read before anything is done: a script that came by half, as through a pipe, does nothing.
main() {
  [ -n "$url" ] || fail "this copy is of no release: set PG2KINESIS_URL to where a release's files are"
  refuse_plain_http
  target=$(find_target)

  if ! mkdir -p "$prefix/bin" 2>/dev/null || [ ! -w "$prefix/bin" ]; then
    fail "cannot write to $prefix/bin: run it as a user who can, or with PREFIX=\$HOME/.local"
  fi
  refuse_folder
  # In the same folder, so that the last step is a rename.
  draft=$(mktemp -d "$prefix/bin/.pg2kinesis.XXXXXX")
  trap 'rm -rf "$draft"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  download "$url/SHA256SUMS" "$draft/SHA256SUMS"
  entry=$(grep -E "^[0-9a-f]{64} [ *]pg2kinesis-[^/ ]*-$target\$" "$draft/SHA256SUMS" || true)
  case $entry in
    '') fail "$url/SHA256SUMS names no executable for $target" ;;
    *"
"*) fail "$url/SHA256SUMS names several executables for $target" ;;
  esac
  expected=${entry%% *}
  name=${entry#* ?}

  echo "downloading $name"
  download "$url/$name" "$draft/pg2kinesis"
  found=$(sha256 "$draft/pg2kinesis")
  [ "$found" = "$expected" ] ||
    fail "$name is not what SHA256SUMS says: its SHA-256 is $found instead of $expected; nothing is installed"

  chmod 755 "$draft/pg2kinesis"
  version=$("$draft/pg2kinesis" --version) || fail "$name does not run on this machine; nothing is installed"
  refuse_folder
  mv -f "$draft/pg2kinesis" "$prefix/bin/pg2kinesis"
  echo "installed $prefix/bin/pg2kinesis: $version"
  case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) echo "$prefix/bin is not in PATH" ;;
  esac
}

main
