#!/usr/bin/env bash
# Boots a real systemd as process 1 of namespaces of its own and runs the shipped unit under it.
#
#   tests/systemd/boot.sh PROGRAM ETC    the program; the folder that becomes /etc/triaged, whose topics are not made yet
#
# The machine's files are seen through an overlay that is thrown away; /proc/sys and /sys are read-only; the network is the
# machine's, because the broker is there. Where the machine does not permit it one line says SKIPPED and why. Nothing
# outlives it: all waits are bounded, and the booted system is killed after LIFE_S seconds whatever happens.
set -euo pipefail

LIFE_S=240
WAIT_S=60
HIERARCHIES=(systemd memory pids)
UNIT=triaged.service
# Short enough for a test, long enough that a machine with much else to do does not starve it.
WATCHDOG=10s

say() { echo "boot: $*"; }
skip() { echo "SKIPPED: a real systemd cannot be booted here: $*"; exit 0; }
fail() {
  echo "boot: FAILED: $*" >&2
  inside systemctl status --no-pager --lines 0 "$UNIT" >&2 || true
  inside journalctl --no-pager -o cat -n 80 >&2 || true
  exit 1
}

# --- as process 1 to be: makes the root of the new system and becomes its systemd ---------------------------------------
become_systemd() {
  local work=$1 root=$1/root hierarchy device unit
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs "$work"
  mkdir "$work/upper" "$work/work" "$root"
  mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$root"
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  else
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for hierarchy in "${HIERARCHIES[@]}"; do
      mkdir "$root/sys/fs/cgroup/$hierarchy"
      mount -t cgroup -o "${hierarchy/#systemd/none,name=systemd}" cgroup "$root/sys/fs/cgroup/$hierarchy"
    done
  fi
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs tmpfs "$root/dev/shm"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

  # What a boot would do to a machine is none of ours: only the journal is left of it.
  for unit in "$root"/lib/systemd/system/{sysinit,local-fs,basic,sockets,timers,multi-user}.target.wants/* \
    "$root"/etc/systemd/system/*.wants/*; do
    case $(basename "$unit") in
      systemd-journald* | '*') ;;
      *) ln -sf /dev/null "$root/etc/systemd/system/$(basename "$unit")" ;;
    esac
  done
  printf '[Unit]\nDescription=Nothing but the journal\nDefaultDependencies=no\nWants=systemd-journald.socket\n' \
    >"$root/etc/systemd/system/quiet.target"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"

  install -m 755 "$PROGRAM" "$root/usr/bin/triaged"
  install -m 644 "$UNITS"/triaged*.service "$root/usr/lib/systemd/system/"
  mkdir -p "$root/etc/triaged" "$root/etc/systemd/system/$UNIT.d"
  cp -rT "$ETC" "$root/etc/triaged"
  chmod -R u=rwX,go=rX "$root/etc/triaged"
  printf '[Service]\nWatchdogSec=%s\n' "$WATCHDOG" >"$root/etc/systemd/system/$UNIT.d/test.conf"

  mkdir -p "$root/old"
  cd "$root"
  pivot_root . old
  umount -l /old
  # As on a machine: systemd mounts credentials in a namespace of its own, from where they must come back.
  mount --make-rshared /
  exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=quiet.target --log-target=journal
}

if [ "${1:-}" = --become ]; then
  become_systemd "$2"
fi

# --- outside ----------------------------------------------------------------------------------------------------------
PROGRAM=$(realpath "$1") ETC=$(realpath "$2") UNITS=$(realpath "$(dirname "$0")/../../systemd")
export PROGRAM ETC UNITS
[ "$(id -u)" = 0 ] || skip "it needs root"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
for tool in unshare nsenter pivot_root systemctl journalctl; do
  command -v "$tool" >/dev/null 2>&1 || skip "'$tool' is not installed"
done
unshare --mount --uts --ipc --pid --cgroup --fork true 2>/dev/null || skip "namespaces are not permitted"

children() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

work=$(mktemp -d)
cgroups=() boot="" first=""
cleanup() {
  # unshare first: its death is the death of everything in the namespaces.
  if [ -n "$boot" ]; then kill -KILL $(children "$boot") "$boot" 2>/dev/null || true; fi
  wait 2>/dev/null || true
  local cgroup
  for cgroup in "${cgroups[@]}"; do
    # The last processes may be on their way out.
    for _ in $(seq 50); do
      find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$cgroup" ] || break
      sleep 0.1
    done
  done
  rm -rf "$work" "$work.log"
}
trap cleanup EXIT

if [ -e /sys/fs/cgroup/cgroup.procs ]; then cgroups=("/sys/fs/cgroup/triaged-boot-$$"); else
  for hierarchy in "${HIERARCHIES[@]}"; do cgroups+=("/sys/fs/cgroup/$hierarchy/triaged-boot-$$"); done
fi
for cgroup in "${cgroups[@]}"; do
  mkdir "$cgroup" 2>/dev/null || skip "no cgroup '$cgroup' can be made"
done
(
  for cgroup in "${cgroups[@]}"; do echo "$BASHPID" >"$cgroup/cgroup.procs"; done
  exec timeout --signal=KILL "$LIFE_S" unshare --mount --uts --ipc --pid --cgroup --fork --kill-child \
    "$0" --become "$work"
) >"$work.log" 2>&1 </dev/null &
boot=$!

inside() { nsenter --target "$first" --all --root --wd "$@"; }

# Waits until a command says what is wanted; fails with what it said last.
until_is() {
  local wanted=$1 said=""
  shift
  for _ in $(seq $((WAIT_S * 5))); do
    said=$("$@" 2>/dev/null) || true
    # shellcheck disable=SC2053 # a pattern is wanted
    if [[ $said == $wanted ]]; then return 0; fi
    sleep 0.2
  done
  fail "'$*' said '$said', not '$wanted', for $WAIT_S s"
}
shows() { inside systemctl show --property "$1" --value "$UNIT"; }
main_pid() { inside systemctl show --property MainPID --value "$UNIT"; }

for _ in $(seq 100); do
  kill -0 "$boot" 2>/dev/null || skip "it ended at once: $(tail -n 1 "$work.log")"
  # timeout, unshare, systemd.
  unshared=$(children "$boot")
  first=$(children "${unshared%% *}")
  first=${first%% *}
  if [ -n "$first" ] && [ "$(cat "/proc/$first/comm" 2>/dev/null)" = systemd ] \
    && inside systemctl is-system-running 2>/dev/null | grep -q -e running -e degraded; then break; fi
  first=""
  sleep 0.2
done
[ -n "$first" ] || skip "systemd did not come up: $(tail -n 1 "$work.log")"
say "$(inside systemctl --version | head -n 1) is process 1 of its own namespaces"

inside systemctl start --no-block "$UNIT"
until_is '*topics do not exist' shows StatusText
[ "$(shows ActiveState)" = activating ] || fail "active before its topics are there"
say "waits for its topics: activating, \"$(shows StatusText)\""
TRIAGED__POLICY__FOLDER=$ETC/policy "$PROGRAM" topics --create --partitions 3 --desk-partitions 4 --config "$ETC/triaged.toml" >/dev/null
until_is active shows ActiveState
say "active once records flow"

# Reads to the end: a reader that leaves early would make the journal's own exit code a failure.
journal_says() { inside journalctl --no-pager -o cat -u "$UNIT" | grep -i "$1" >/dev/null; }

status=/proc/$(main_pid)/status
field() { inside sed -n "s/^$1:[[:space:]]*//p" "$status"; }
uid=$(field Uid | cut -f 1)
((uid >= 61184 && uid <= 65519)) || fail "uid $uid is none that DynamicUser gives"
[ "$(field CapEff)" = 0000000000000000 ] || fail "it has capabilities: $(field CapEff)"
[ "$(field NoNewPrivs)" = 1 ] || fail "it may gain privileges"
[ "$(field Seccomp)" = 2 ] || fail "its system calls are not filtered"
[ "$(shows MemoryDenyWriteExecute)" = yes ] || fail "memory may be written and executed"
journal_says 'libhs passed its self-test' || fail "hyperscan does not work under the unit"
say "uid $uid, no capabilities, filtered system calls, no writable code; hyperscan passed its self-test"

rule=/etc/triaged/policy/rules/added.toml
generation() { inside triaged ctl status --json | sed -n 's/.*"generation": "\(.*\)".*/\1/p' | head -n 1; }
before=$(generation)
inside sh -c "printf '[[rule]]\nname = \"broken\"\nquery = \"(a OR\"\n' >$rule"
if inside systemctl reload "$UNIT" 2>/dev/null; then fail "a reload of a broken policy succeeded"; fi
[ "$(shows ActiveState)" = active ] && [ "$(generation)" = "$before" ] || fail "a refused reload has changed something"
inside sh -c "printf '[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n' >$rule"
inside systemctl reload "$UNIT" || fail "a reload of a good policy failed"
[ "$(generation)" != "$before" ] || fail "a reload that succeeded has changed nothing"
say "reload: a broken policy fails and changes nothing, a good one is in force when systemctl returns"

inside kill -STOP "$(main_pid)"
until_is 1 shows NRestarts
until_is active shows ActiveState
journal_says 'watchdog timeout' || fail "it was not the watchdog"
say "a process that stands still is ended by the watchdog and started again"

# So far there was no credential, and that broke nothing. The next start finds one.
inside sh -c 'umask 077; mkdir -p /etc/credstore; echo secret >/etc/credstore/triaged.kafka-password'
inside kill -KILL "$(main_pid)"
until_is 2 shows NRestarts
until_is active shows ActiveState
credential=$(inside cat "/proc/$(main_pid)/root/run/credentials/$UNIT/triaged.kafka-password") || credential=none
[ "$credential" = secret ] || fail "the credential does not reach it: $credential"
say "after kill -9 it is started again, and has the password that was put into /etc/credstore meanwhile"

inside systemctl stop "$UNIT"
[ "$(shows Result)/$(shows ExecMainStatus)" = success/0 ] || fail "stop ended with $(shows Result)/$(shows ExecMainStatus)"
journal_says 'drained: everything' || fail "it did not drain"
say "stop drains and ends with code 0"

inside sh -c 'echo "bootstap = 5" >>/etc/triaged/triaged.toml'
if inside systemctl start "$UNIT" 2>/dev/null; then fail "it started with a broken configuration"; fi
sleep 3
[ "$(shows ActiveState)/$(shows ExecMainStatus)/$(shows NRestarts)" = failed/78/0 ] \
  || fail "a broken configuration: $(shows ActiveState)/$(shows ExecMainStatus)/$(shows NRestarts)"
say "a broken configuration fails once, with code 78, and is not tried again"
say "all is well"
