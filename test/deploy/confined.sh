#!/bin/sh
# Runs a command as Compose runs a container with `read_only`, `cap_drop: [ALL]`, `no-new-privileges` and a tmpfs at /tmp: with the
# kernel's own means, because a container engine is not on every machine and these are. It ends in an `exec`, so the process that
# was started is the one that runs, and signals reach it.
#
# In a mount namespace of its own (unshare --mount), as root there:
#   confined.sh <root> <node> <volume> <workdir> <command> …
# root: a folder with the files of the image, in which every place to mount something on is there; node: the program that is
# `node` in it; volume: what is mounted at /data, or nothing.
set -eu
root=$1 node=$2 volume=$3 workdir=$4
shift 4

# Of the system underneath what the image has of its own: programs, libraries, names. Merged folders are links into /usr.
bind_from_below() {
  mount --bind "/$1" "$root/$1"
  mount -o remount,bind,ro "$root/$1"
}

# Bound onto itself, so that it is a mount, which alone can be read-only.
mount --bind "$root" "$root"
for folder in usr etc bin lib lib64; do
  if [ -d "/$folder" ] && [ ! -L "/$folder" ]; then bind_from_below "$folder"; fi
done
for device in null zero random urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
mount --bind "$node" "$root/opt/node"
mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
if [ -n "$volume" ]; then mount --bind "$volume" "$root/data"; fi
mount -o remount,bind,ro "$root"

# The old root is stacked on the new one for a moment, and then nothing leads to it any more. (After a chroot something does, and the
# kernel refuses a second user namespace.)
cd "$root"
pivot_root . .
umount -l .
cd /

# 1000 is the user `node` of the image. Whoever is not root outside becomes it in a second user namespace, and its first
# `exec` there leaves all capabilities behind.
if [ "$(awk '{ print $1 $2 $3 }' /proc/self/uid_map)" = 004294967295 ]; then
  become='setpriv --reuid=1000 --regid=1000 --clear-groups --bounding-set=-all'
else
  become='unshare --user --map-user=1000 --map-group=1000'
fi
# shellcheck disable=SC2086
exec $become setpriv --inh-caps=-all --no-new-privs env --chdir="$workdir" "$@"
