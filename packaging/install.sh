#!/bin/sh
# Installs the programs beside this script, and takes them away again with --uninstall.
# The programs stay where they were unpacked: what is installed are links to them, a user, settings and units.
set -eu
umask 022

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
programs="kuma-cp kuma-dp kumactl kuma-injector kuma-tcp-echo kuma-init"
units="kuma-cp.service kuma-dp@.service"
bin=/usr/local/bin
unit_directory=/etc/systemd/system
settings=/etc/kuma/kuma-cp.conf.yaml

fail() {
  echo "Error: $*" >&2
  exit 1
}

# Each link as "PATH TARGET".
links() {
  for program in $programs; do echo "$bin/$program $here/bin/$program"; done
  echo "/usr/local/share/bash-completion/completions/kumactl $here/completions/bash/kumactl"
  echo "/usr/local/share/zsh/site-functions/_kumactl $here/completions/zsh/_kumactl"
  echo "/usr/local/share/fish/vendor_completions.d/kumactl.fish $here/completions/fish/kumactl.fish"
}

runs_systemd() {
  [ -d /run/systemd/system ]
}

# Services run as users of their own, who have to get here.
check_reachable() {
  directory=$here
  while [ "$directory" != / ]; do
    case $(stat -c %A -- "$directory") in
      *x | *t) ;;
      *) fail "$directory is closed to other users: unpack where services can read, such as /opt" ;;
    esac
    directory=$(dirname -- "$directory")
  done
}

check_links() {
  links | while read -r link _; do
    if [ -e "$link" ] && [ ! -L "$link" ]; then fail "$link exists and is no link: move it away first"; fi
  done
  for program in $programs; do
    case $(readlink -m -- "$bin/$program") in
      "$bin/$program" | */bin/kuma) ;;
      *) [ ! -e "$bin/$program" ] || fail "$bin/$program leads to another program: move it away first" ;;
    esac
  done
}

# The release that is installed so far.
installed_release() {
  dirname -- "$(dirname -- "$(readlink -m -- "$bin/kumactl")")"
}

# Nobody has changed the settings since they came with a release.
are_untouched() {
  [ -e "$settings" ] && cmp -s "$settings" "$1/conf/kuma-cp.conf.yaml"
}

check_settings() {
  env -i "$here/bin/kuma" cp config -c "$settings" >/dev/null ||
    fail "kuma-cp $version does not take $settings: see above, and nothing was changed"
}

install_all() {
  version=$("$here/bin/kuma" ctl version) ||
    fail "bin/kuma does not run here ($(uname -m)): is it the tarball for this machine, and has it glibc and libstdc++?"
  check_reachable
  check_links
  previous=$(installed_release)
  if [ ! -e "$settings" ] || are_untouched "$previous"; then
    bring_settings=yes
  else
    bring_settings=
    check_settings
  fi

  links | while read -r link target; do
    mkdir -p "$(dirname -- "$link")"
    ln -sfn "$target" "$link"
  done
  getent passwd kuma >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin kuma
  # Settings may hold passwords: they are root's to write and the group's to read.
  [ -d /etc/kuma ] || install -d -m 0750 -g kuma /etc/kuma
  [ -z "$bring_settings" ] || install -m 0640 -g kuma "$here/conf/kuma-cp.conf.yaml" "$settings"
  for unit in $units; do install -D -m 0644 "$here/systemd/$unit" "$unit_directory/$unit"; done
  if runs_systemd; then systemctl daemon-reload; fi

  echo "Kuma $version is installed: links in $bin, settings in /etc/kuma, units in $unit_directory."
  if [ -x "$previous/bin/kuma" ] && [ "$previous" != "$here" ]; then
    echo "Next: restart kuma-cp, then each kuma-dp; until then they run what is in $previous"
  else
    echo "Next: systemctl enable --now kuma-cp, or kuma-cp run"
  fi
}

uninstall_all() {
  [ "$(readlink -- "$bin/kumactl")" = "$here/bin/kumactl" ] ||
    fail "$bin/kumactl is no link into $here: uninstall with the install.sh of what is installed"
  if runs_systemd; then
    [ ! -e "$unit_directory/kuma-cp.service" ] || systemctl disable --now kuma-cp.service
    systemctl stop 'kuma-dp@*.service'
  fi
  links | while read -r link target; do
    if [ "$(readlink -- "$link")" = "$target" ]; then rm -- "$link"; fi
  done
  (
    cd /usr/local/share
    rmdir -p --ignore-fail-on-non-empty bash-completion/completions zsh/site-functions fish/vendor_completions.d || :
  )
  for unit in $units; do rm -f -- "$unit_directory/$unit"; done
  rm -f -- "$unit_directory"/*.wants/kuma-cp.service "$unit_directory"/*.wants/kuma-dp@*.service
  if runs_systemd; then systemctl daemon-reload; fi
  if are_untouched "$here"; then rm -- "$settings"; fi
  if [ -d /etc/kuma ] && ! rmdir /etc/kuma 2>/dev/null; then
    echo "/etc/kuma holds settings of yours: it stays, and so does the user whose group may read it."
  elif getent passwd kuma >/dev/null; then
    userdel kuma
  fi
  echo "Kuma is uninstalled. What was unpacked is still in $here"
}

usage="usage: install.sh [--uninstall]"
case $#:${1-} in
  0:) action=install_all ;;
  1:--uninstall) action=uninstall_all ;;
  1:-h | 1:--help)
    echo "$usage"
    exit
    ;;
  *) fail "$usage" ;;
esac
[ "$(id -u)" = 0 ] || fail "run this as root"
$action
