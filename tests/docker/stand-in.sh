#!/bin/sh
# Makes an image of programs of this machine, in place of one from a registry:
#   stand-in.sh IMAGE USER ENTRYPOINT_JSON FILE...
# Each FILE comes along with the libraries it needs; SOURCE=TARGET puts it elsewhere.
set -eu
image=$1 user=$2 entrypoint=$3
shift 3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/tmp" "$root/etc"
chmod 1777 "$root/tmp"
printf 'root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\nwww-data:x:33:33::/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnobody:x:65534:\nnogroup:x:65534:\nwww-data:x:33:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
put() {
    mkdir -p "$root$(dirname "$2")"
    [ -e "$root$2" ] || cp -L "$1" "$root$2"
}
for file in "$@"; do
    put "${file%=*}" "${file#*=}"
    for library in $(ldd "${file%=*}" 2>/dev/null | grep -o '/[^ ]*'); do
        put "$library" "$library"
    done
done
# glibc opens these itself, to find hosts by name.
for library in /lib/x86_64-linux-gnu /lib/aarch64-linux-gnu; do
    for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
        [ ! -e "$library/$name" ] || put "$library/$name" "$library/$name"
    done
done
# A volume begins as the folder it covers, with its owner.
for folder in /prometheus /var/lib/grafana; do
    mkdir -p "$root$folder"
    chown "$user" "$root$folder"
done
tar -C "$root" -c . | docker import --change "USER $user" --change 'ENV PATH=/bin:/usr/bin:/usr/sbin:/usr/local/bin' \
    --change "ENTRYPOINT $entrypoint" - "$image" >/dev/null
