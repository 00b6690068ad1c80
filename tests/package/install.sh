#!/usr/bin/env bash
# Installs a package with dpkg into an overlay of this machine that is thrown away, runs what is in it, purges it.
#
#   tests/package/install.sh PACKAGE.deb
#
# Where the machine does not permit it one line says SKIPPED and why.
set -euo pipefail

skip() { echo "SKIPPED: the package cannot be installed into an overlay here: $*"; exit 0; }
fail() { echo "install: FAILED: $*" >&2; exit 1; }

if [ "${1:-}" = --inside ]; then
  package=$2
  # What is only a recommendation of the machine must not matter here: the libraries are, or the tests would not run.
  dpkg --install "$package" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log >&2; fail "dpkg --install"; }
  echo "install: $(triaged --version) in $(command -v triaged)"
  triaged check >/dev/null || fail "the configuration that comes with it has mistakes"
  [ -f /usr/lib/systemd/system/triaged.service ] || fail "no unit"
  [ ! -e /etc/systemd/system/multi-user.target.wants/triaged.service ] || fail "it enables itself"
  man --path triaged >/dev/null 2>&1 || ! command -v man >/dev/null || fail "no manual page"
  mkdir -p /var/lib/private/triaged /var/lib/private/triaged-eu /var/lib/private/triaged2
  echo '# changed' >>/etc/triaged/triaged.toml
  dpkg --install "$package" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log >&2; fail "a second dpkg --install"; }
  grep -q '# changed' /etc/triaged/triaged.toml || fail "an upgrade overwrites what was changed"
  dpkg --remove triaged >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log >&2; fail "dpkg --remove"; }
  [ -f /etc/triaged/triaged.toml ] && [ -d /var/lib/private/triaged ] || fail "removing takes configuration or state away"
  [ ! -e /usr/bin/triaged ] || fail "removing leaves the program"
  dpkg --purge triaged >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log >&2; fail "dpkg --purge"; }
  [ ! -e /etc/triaged ] && [ ! -e /var/lib/private/triaged ] && [ ! -e /var/lib/private/triaged-eu ] \
    || fail "purging leaves configuration or state"
  [ -d /var/lib/private/triaged2 ] || fail "purging takes what is another's"
  echo "install: installed, kept a changed configuration, removed, purged"
  exit 0
fi

package=$(realpath "$1") me=$(realpath "$0")
[ "$(id -u)" = 0 ] || skip "it needs root"
for tool in unshare chroot dpkg; do
  command -v "$tool" >/dev/null 2>&1 || skip "'$tool' is not installed"
done
unshare --mount true 2>/dev/null || skip "namespaces are not permitted"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unshare --mount bash -euo pipefail -c '
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$1"
  mkdir "$1/upper" "$1/work" "$1/root"
  mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root" || exit 77
  mount -t tmpfs tmpfs "$1/root/tmp"
  mount -t tmpfs tmpfs "$1/root/run"
  mount --bind /dev "$1/root/dev"
  mount --bind /proc "$1/root/proc"
  cp "$2" "$1/root/tmp/triaged.deb"
  cp "$3" "$1/root/tmp/install.sh"
  exec chroot "$1/root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive bash /tmp/install.sh --inside /tmp/triaged.deb
' _ "$work" "$package" "$me" || { code=$?; [ "$code" = 77 ] && skip "no overlay can be mounted"; exit "$code"; }
