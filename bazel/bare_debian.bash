# Sourced by what tries this project on a bare Debian: a folder that debootstrap fills, entered with chroot. Needs root and
# debootstrap. Packages come from the mirror that this machine's apt uses, or from HOOKGATE_DEBIAN_MIRROR.
# shellcheck shell=bash

bare_debian_fail() {
  echo "$0: $1" >&2
  exit "${2:-1}"
}

# bare_debian_check: ends the script if this machine cannot make one. Sets bare_debian_mirror.
bare_debian_check() {
  [[ $(id -u) == 0 ]] || bare_debian_fail "must be run as root: debootstrap makes devices, and chroot is root's"
  command -v debootstrap >/dev/null || bare_debian_fail "debootstrap is not installed: run bazel/check --install"
  bare_debian_mirror=${HOOKGATE_DEBIAN_MIRROR-}
  if [[ -z $bare_debian_mirror ]]; then
    # shellcheck disable=SC2016
    bare_debian_mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
      sed -n 's/^Debian|Debian|//p' | head -n 1)
  fi
  [[ -n $bare_debian_mirror ]] ||
    bare_debian_fail "apt knows no mirror of Debian: run apt-get update, or set HOOKGATE_DEBIAN_MIRROR"
}

# bare_debian_make SUITE ROOT: the essential packages of bookworm (12) or trixie (13), and apt, in the folder ROOT.
bare_debian_make() {
  local suite=$1 root=$2
  echo "== A bare $suite in $root" >&2
  if ! debootstrap --variant=minbase "$suite" "$root" "$bare_debian_mirror" >"$root.log" 2>&1; then
    tail -n 20 "$root.log" >&2
    bare_debian_fail "debootstrap failed"
  fi
  rm -f "$root.log"
  # As this machine reaches its mirror, so does the new one.
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' >"$root/etc/apt/apt.conf.d/90-as-outside" || true
}

# bare_debian_start ROOT SCRIPT [ARGUMENT...]: runs bash's SCRIPT in it, in the background; its process id is then in
# bare_debian_inside. Mounts and processes end with it, since both are in namespaces of their own.
bare_debian_start() {
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child bash -euc '
    root=$1
    shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --make-rslave "$root/dev"
    mount --rbind /sys "$root/sys"
    mount --make-rslave "$root/sys"
    cd "$root"
    exec env -i HOME=/root LANG=C.UTF-8 USER=root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      DEBIAN_FRONTEND=noninteractive chroot "$root" bash -euc "$1" bash "${@:2}"
  ' bash "$@" &
  bare_debian_inside=$!
}

# bare_debian_run ROOT SCRIPT [ARGUMENT...]: the same, and waits for its end. In the background all the same, so that a
# signal is heard at once.
bare_debian_run() {
  bare_debian_start "$@"
  local status=0
  wait "$bare_debian_inside" || status=$?
  bare_debian_inside=
  return "$status"
}

# bare_debian_end ROOT: ends what still runs, and removes the folder unless HOOKGATE_KEEP_DEBIAN is set. For a trap.
bare_debian_end() {
  # Only this signal reaches the first process of a namespace; with it all others end there.
  if [[ -n ${bare_debian_inside-} ]]; then
    kill -KILL "$bare_debian_inside" && wait "$bare_debian_inside"
  fi 2>/dev/null
  if [[ -n ${HOOKGATE_KEEP_DEBIAN-} ]]; then
    echo "$0: kept: $1" >&2
  else
    rm -rf --one-file-system "$1"
  fi
}

# bare_debian_boot ROOT: starts the systemd that is installed there, as a container runtime does, with a network of its own;
# bare_debian_in_system COMMAND... runs something in that system, until bare_debian_halt.
bare_debian_boot() {
  # Not by chroot, within which Linux makes no user namespaces. systemd takes it for granted that a container's mounts are
  # shared.
  # shellcheck disable=SC2016
  unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child bash -euc '
    root=$1
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t sysfs sysfs "$root/sys"
    # Newer systemds want this one alone, whatever this machine has.
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mkdir -p "$root/run/lock" "$root/mnt"
    cd "$root"
    pivot_root . mnt
    umount -l /mnt
    mount --make-rshared /
    exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
  ' bash "$1" </dev/null >/dev/null 2>&1 &
  bare_debian_inside=$!
  local state
  for _ in {1..300}; do
    bare_debian_system=$(pgrep -P "$bare_debian_inside" || true)
    state=
    [[ -z $bare_debian_system ]] || state=$(bare_debian_in_system systemctl is-system-running 2>/dev/null || true)
    # Degraded is well enough: it lacks what a container cannot have, such as modules of the kernel.
    [[ $state != running && $state != degraded ]] || return 0
    sleep 0.2
  done
  return 1
}
bare_debian_in_system() {
  nsenter --target "$bare_debian_system" --mount --pid --uts --ipc --net --root --wd env -i HOME=/root LANG=C.UTF-8 \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"
}
bare_debian_halt() {
  kill -KILL "$bare_debian_inside"
  wait "$bare_debian_inside" 2>/dev/null || true
  bare_debian_inside=
}
