#!/usr/bin/env bash
# Build the Dockerfile on a machine without a Docker engine, and test the image. This needs Debian, root, and
#
#   apt-get install buildah debootstrap python3 python3-pip
#
# debootstrap makes the base from the Debian mirror of this machine, with Debian's Python. The build runs in buildah
# with chroot isolation, so it needs no kernel feature that a sandbox may lack. pip inside the build finds packages as
# pip on this machine does, by a configuration that is passed as a secret and does not stay in the image.
#
#   scripts/build-container.sh [WORK_FOLDER]      default: build/container
#
# TORCH_INDEX_URL in the environment is passed to the Dockerfile. The work folder keeps the base and the image for the
# next run; remove them with `rm -r`.
set -euo pipefail

cd "$(dirname "$0")/.."
work=$(realpath -m "${1:-build/container}")
suite=bookworm
base=localhost/gan-base:$suite
image=localhost/gan-service:latest
container=
server=

fail() {
    echo "error: $*" >&2
    exit 1
}

if [ -n "$(shopt -s nullglob dotglob && echo "$work"/*)" ] && [ ! -e "$work/lock" ]; then
    fail "$work is not empty and was not made by this script, which removes folders: name a new one"
fi
for tool in buildah debootstrap python3 unshare; do
    command -v "$tool" >/dev/null || fail "$tool is not installed: apt-get install buildah debootstrap python3 python3-pip"
done
[ "$(id -u)" -eq 0 ] || fail "this is user $(id -un), but debootstrap needs root: run this script as root"

mkdir -p "$work"
exec 9>"$work/lock"
flock --nonblock 9 || fail "another run is using $work: wait for its end, or name another folder"

buildah() {
    TMPDIR="$work/tmp" BUILDAH_ISOLATION=chroot \
        command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

clean_up() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
    [ -z "$container" ] || buildah rm "$container" >/dev/null 2>&1 || true
    rm -rf --one-file-system "$work/tmp" "$work/rootfs"
}
trap clean_up EXIT
rm -rf --one-file-system "$work/tmp"
(umask 077 && mkdir "$work/tmp") # pip's configuration, which may hold a password, is kept here during the build
buildah rm --all >/dev/null      # containers that a killed run left behind

debian_mirror() {
    # shellcheck disable=SC2016  # apt expands these names itself
    # Print the first of this machine's apt sources that is Debian's archive, in whatever format it is written.
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "Debian" && !found { print $3; found = 1 }'
}

make_base() {
    local mirror fresh
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || fail "apt knows no Debian mirror: check /etc/apt/sources.list.d, and run apt-get update"
    rm -rf --one-file-system "$work/rootfs"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/rootfs" "$mirror" \
        >"$work/debootstrap.log" 2>&1 || fail "debootstrap failed: see $work/debootstrap.log"
    # The image must not contain the mirror's address. A base of your own brings its own sources.
    rm -rf "$work"/rootfs/var/cache/apt/* "$work"/rootfs/var/lib/apt/lists/* "$work"/rootfs/etc/apt/sources.list \
        "$work"/rootfs/var/log/bootstrap.log
    fresh=$(buildah from scratch)
    buildah add --quiet "$fresh" "$work/rootfs" / >/dev/null
    buildah commit --quiet "$fresh" "$base" >/dev/null
    buildah rm "$fresh" >/dev/null
    rm -rf --one-file-system "$work/rootfs"
}

pip_settings() {
    # Write a pip.conf for the build ($1): the settings of this machine's pip, environment included, that say where
    # packages come from and how to reach them. Write the local files and folders that they name into $2, one a line.
    python3 -m pip config list | python3 -c '
import ast, pathlib, sys
where = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy",
         "timeout", "default-timeout", "retries")
lines = [line.partition("=") for line in sys.stdin if "=" in line]
found = {tuple(key.strip().rpartition(".")[::2]): ast.literal_eval(value.strip()) for key, _, value in lines}
chosen = {}
for section in ("global", "install", ":env:"):  # a later section wins, as in pip
    chosen |= {name: value.split() for (at, name), value in found.items() if at == section and name in where}
paths = set()
for name, values in chosen.items():
    for value in values:
        path = pathlib.Path(value.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            # An index links to files next to itself: ../../files/name.whl
            paths.add(path.parent if name.endswith("index-url") else path)
print("[global]", *(f"{name} = {chr(10).join(values)}".replace("\n", "\n    ") for name, values in chosen.items()),
      sep="\n", file=open(sys.argv[1], "w"))
print(*sorted(paths), sep="\n", file=open(sys.argv[2], "w"))
' "$1" "$2"
}

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    echo "== base: debootstrap $suite"
    started=$SECONDS
    make_base
    echo "made in $((SECONDS - started)) s"
fi

echo "== build"
if python3 -m pip --version >/dev/null 2>&1; then
    pip_settings "$work/tmp/pip.conf" "$work/tmp/paths"
else
    echo "this machine has no pip: pip in the build uses its defaults" >&2
    touch "$work/tmp/pip.conf" "$work/tmp/paths"
fi
mounts=()
while read -r path; do
    [ -z "$path" ] || mounts+=(--volume "$path:$path:ro")
done <"$work/tmp/paths"
started=$SECONDS
buildah build --pull-never --format docker --network host --build-arg "BASE=$base" \
    --build-arg "TORCH_INDEX_URL=${TORCH_INDEX_URL:-}" --secret "id=pip,src=$work/tmp/pip.conf" "${mounts[@]}" \
    --tag "$image" . >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log" >&2; fail "see $work/build.log"; }
buildah rmi --prune >/dev/null
echo "built in $((SECONDS - started)) s"
buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' | grep "^$image"

echo "== what is in it"
container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
configuration() {
    # Print an entry of the image's configuration, a word or a list of words, each followed by a zero byte.
    buildah inspect --type image "$image" | python3 -c '
import json, sys
value = json.load(sys.stdin)["Docker"]["config"]
for key in sys.argv[1].split("."):
    value = value[key]
for word in [value] if isinstance(value, str) else value:
    print(word, end="\0")
' "$1"
}
mapfile -d '' -t entrypoint < <(configuration Entrypoint)
mapfile -d '' -t environment < <(configuration Env)
mapfile -d '' -t health < <(configuration Healthcheck.Test)
mapfile -d '' -t user < <(configuration User)
echo "entry point ${entrypoint[*]}, user ${user[*]}, health check by ${health[1]}"

inside() {
    buildah run --network host "$container" -- "$@"
}
[ "$(cd "$root/srv" && find . -maxdepth 1 | sort | xargs)" = ". ./app ./models ./viewer" ] ||
    fail "/srv contains $(ls "$root/srv" | xargs), not only app/, models/ and viewer/"
[ "$(inside id -u)" = 10001 ] || fail "the image runs as user $(inside id -u), not as 10001"
written=$(inside find /srv /opt/gan -writable ! -type l)
[ -z "$written" ] || fail "the image's user can write to $written"
[ ! -s "$root/etc/pip.conf" ] || fail "pip's configuration stayed in the image"
for package in pip matplotlib tensorboard pytest; do
    inside python -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$package') is not None)" ||
        fail "the image contains the package $package, which it must not"
done
echo "/srv has only app/, models/ and viewer/; the service can write to nothing; there is no pip, training or test"

echo "== the service in it"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
environment+=("GAN_HOST=127.0.0.1" "GAN_PORT=$port")
# Run a command as compose.yaml would: with a read-only root, a /tmp in memory, the image's user, no capabilities, and
# no way to gain any.
# shellcheck disable=SC2016  # the inner shell expands these names
confined() {
    exec unshare --mount --propagation private -- bash -c '
        set -eu
        root=$1 user=$2
        shift 2
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        mount -t tmpfs tmpfs "$root/tmp"
        mount --rbind /proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \
            --inh-caps=-all --bounding-set=-all --no-new-privs \
            env --ignore-environment --chdir=/srv "$@"' \
        confined "$root" "${user[0]}" "${environment[@]}" "$@"
}
confined "${entrypoint[@]}" >"$work/service.log" 2>&1 9>&- &
server=$!
python3 - "$port" "$server" <<'EOF' || { tail -n 20 "$work/service.log" >&2; fail "see $work/service.log"; }
import http.client
import pathlib
import struct
import sys
import time
import zlib

port, server = int(sys.argv[1]), int(sys.argv[2])


def get(path):
    service = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    service.request("GET", path)
    answer = service.getresponse()
    return answer.status, answer.headers, answer.read()


def ready():
    try:
        return get("/readyz")[0] == 200
    except OSError:
        return False


def alive():
    try:
        return pathlib.Path(f"/proc/{server}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def must(holds, what):
    if not holds:
        sys.exit(f"error: {what}")


begun = time.monotonic()
while not ready():
    must(alive(), "the service has ended")
    must(time.monotonic() < begun + 60, "not ready after 60 s")
    time.sleep(0.05)
print(f"ready in {time.monotonic() - begun:.1f} s")

status, headers, picture = get("/v1/samples?n=64&seed=7&columns=8")
must(status == 200 and headers["Content-Type"] == "image/png", f"samples: {status} {picture[:500]!r}")
must(picture[:8] == b"\x89PNG\r\n\x1a\n", "samples: not a PNG")
at, data = 8, b""
while at < len(picture):
    (length,), kind = struct.unpack(">I", picture[at : at + 4]), picture[at + 4 : at + 8]
    body = picture[at + 8 : at + 8 + length]
    must(zlib.crc32(kind + body) == struct.unpack(">I", picture[at + 8 + length : at + 12 + length])[0], "a bad CRC")
    if kind == b"IHDR":
        width, height = struct.unpack(">II", body[:8])
    data += body if kind == b"IDAT" else b""
    at += 12 + length
pixels = zlib.decompress(data)
must(width >= 8 * 28 and height >= 8 * 28, f"a grid of {width} x {height}")
must(len(set(pixels)) > 100, f"a grid of {len(set(pixels))} different values")
print(f"GET /v1/samples: {headers['X-Model']}, PNG of {width} x {height}, {len(picture):,} bytes")

states = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{server}/status").read_text().splitlines())
must(set(states["Uid"].split() + states["Gid"].split()) == {"10001"}, f"runs as {states['Uid']}")
must(int(states["CapEff"], 16) == int(states["CapBnd"], 16) == 0, f"has capabilities {states['CapEff']}")
print(f"uid {states['Uid'].split()[0]}, no capabilities, {int(states['VmRSS'].split()[0]) / 1024:.0f} MB of memory")
EOF
(confined "${health[@]:1}") || fail "the health check fails although the service runs"
kill -TERM "$server"
ended=0
wait "$server" || ended=$?
server=
[ "$ended" -eq 0 ] || [ "$ended" -eq 143 ] || fail "after SIGTERM the service ended with exit code $ended"
! (confined "${health[@]:1}") 2>/dev/null || fail "the health check passes although the service has ended"
echo "the health check passes while the service runs, and fails after SIGTERM has ended it"
echo "== all tests passed; the image is $image in $work/storage"
