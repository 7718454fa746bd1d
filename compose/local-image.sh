#!/bin/sh
# Builds lab's image with the public Dockerfile where no registry can be reached: the base is made
# of this machine's own C library, and the program is one that is built already.
#
#   compose/local-image.sh target/release/lab [IMAGE]        (IMAGE: lab)
set -eu
binary=${1:?"which program? compose/local-image.sh target/release/lab [IMAGE]"}
image=${2:-lab}
dockerfile="$(dirname "$0")/../Dockerfile"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The base: what distroless has of it. Libraries keep their paths, links resolved.
base="$work/base"
mkdir -p "$base/etc" "$base/tmp" "$base/home/nonroot"
chmod 1777 "$base/tmp"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$base/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$base/etc/group"
printf 'hosts: files dns\n' >"$base/etc/nsswitch.conf"
# glibc opens these itself, to find hosts by name: they are in no list of what a program needs.
libraries=$(ldd "$binary" | grep -o '/[^ ]*')
folder=$(dirname "$(printf '%s\n' "$libraries" | grep '/libc\.so')")
for library in $libraries "$folder"/libnss_files.so.2 "$folder"/libnss_dns.so.2 "$folder"/libresolv.so.2; do
    [ -e "$library" ] || continue
    mkdir -p "$base$(dirname "$library")"
    cp -L "$library" "$base$library"
done
tar -C "$base" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - lab-base:local >/dev/null

mkdir -p "$work/binary/out/empty"
install "$binary" "$work/binary/out/lab"
strip "$work/binary/out/lab" 2>/dev/null || true
tar -C "$work/binary" -c . | docker import - lab-binary:local >/dev/null

# Both bases are images, so BuildKit leaves out the stage that compiles, and nothing of the folder
# is needed. Where the client lacks buildx, Debian's asks the daemon's own BuildKit.
mkdir "$work/context"
client=docker
docker buildx version >/dev/null 2>&1 || [ ! -x /usr/bin/docker ] || client=/usr/bin/docker
DOCKER_BUILDKIT=1 "$client" build --quiet --tag "$image" --file "$dockerfile" \
    --build-arg RUNTIME=lab-base:local --build-arg BINARY=lab-binary:local "$work/context"
docker rmi lab-base:local lab-binary:local >/dev/null
