#!/usr/bin/env bash
# Build the Dockerfile for real where there is no Docker engine, and try the image: needs Debian, root, and
#
#   apt-get install buildah debootstrap
#
# The base is made by debootstrap from this machine's own Debian mirror, with Debian's Python 3.11; the build runs in
# buildah with chroot isolation, so it needs no kernel feature that a sandbox may lack. pip inside the build uses this
# machine's pip configuration, handed in as a secret; nothing of it stays in the image.
#
#   scripts/build-container.sh [WORK_FOLDER]      default: build/container; kept between runs: the base is reused
set -euo pipefail

cd "$(dirname "$0")/.."
work=$(realpath -m "${1:-build/container}")
suite=bookworm
base=localhost/gan-base:$suite
image=localhost/gan-service:latest
container=

fail() {
    echo "error: $*" >&2
    exit 1
}

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah debootstrap"
done
[ "$(id -u)" -eq 0 ] || fail "debootstrap needs root"

mkdir -p "$work"
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() {
    command buildah --root "$work/storage" --runroot "$work/run" "$@"
}

clean_up() {
    if [ -n "$container" ]; then
        # The service is a child of buildah's, in the process group of its own that `set -m` gave it.
        [ -z "${server:-}" ] || kill -- "-$server" 2>/dev/null || true
        buildah rm "$container" >/dev/null 2>&1 || true
    fi
    rm -f "$work/pip.conf"
}
trap clean_up EXIT

mirror() {
    # The first mirror of the host's apt sources, in either of their two formats.
    grep -hoE '^(URIs:|deb) .*' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        grep -oE '(https?|file)://[^ ]+' | head -n 1
}

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    echo "== base: debootstrap $suite"
    rm -rf "$work/rootfs"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/rootfs" \
        "$(mirror)" >"$work/debootstrap.log" 2>&1 || fail "debootstrap failed: see $work/debootstrap.log"
    rm -rf "$work"/rootfs/var/cache/apt/* "$work"/rootfs/var/lib/apt/lists/*
    fresh=$(buildah from scratch)
    buildah add --quiet "$fresh" "$work/rootfs" / >/dev/null
    buildah commit --quiet "$fresh" "$base" >/dev/null
    buildah rm "$fresh" >/dev/null
    rm -rf "$work/rootfs"
fi

echo "== build"
# This machine's pip configuration, environment included, as one file; folders that it names are mounted read-only.
mounts=()
python3 -m pip config list | python3 -c '
import ast, sys
settings = dict(line.split("=", 1) for line in sys.stdin if "=" in line)  # the environment comes last, and wins
names = {key.strip().rpartition(".")[2]: ast.literal_eval(value.strip()) for key, value in settings.items()}
print("[global]", *(f"{name} = {value}".replace("\n", "\n    ") for name, value in names.items()
                    if name not in ("config-file", "disable-pip-version-check")), sep="\n")
' >"$work/pip.conf"
while read -r path; do
    [ -e "$path" ] && mounts+=(--volume "$path:$path:ro")
done < <(grep -oE '(file://)?/(opt|srv|mnt|home|root|etc/ssl|usr/share|usr/local)[^ ,]*' "$work/pip.conf" |
    sed 's#^file://##; s#/simple/*$##' | sort -u)

started=$(date +%s)
buildah build --quiet --pull-never --format docker --network host --build-arg "BASE=$base" \
    --secret "id=pip,src=$work/pip.conf" "${mounts[@]}" --tag "$image" . >/dev/null
echo "built in $(($(date +%s) - started)) s"
buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' | grep gan-service

echo "== what is in it"
container=$(buildah from --pull-never "$image")
inside() {
    buildah run --network host --env GAN_PORT="$port" "$container" -- "$@"
}
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for absent in training tests pyproject.toml; do
    inside test ! -e "/srv/$absent" || fail "/srv/$absent is in the image"
done
[ "$(inside id -u)" = 10001 ] || fail "the image runs as $(inside id -u), not as 10001"
inside test ! -w /srv/app || fail "the image's user can write to /srv/app"
inside sh -c '! grep -rIl "^index-url\|^find-links" /etc/pip.conf /opt/gan 2>/dev/null | grep -q .' ||
    fail "pip's configuration stayed in the image"
buildah inspect --type image --format '{{.Docker.Config.Entrypoint}} user {{.Docker.Config.User}} health {{.Docker.Config.Healthcheck.Test}}' "$image"

echo
echo "== the service in it, on port $port"
set -m
buildah run --network host --env GAN_PORT="$port" --env GAN_HOST=127.0.0.1 "$container" -- python -m app \
    >"$work/service.log" 2>&1 &
server=$!
set +m
python3 - "$port" <<'EOF' || fail "the service did not answer: see $work/service.log"
import sys
import time
import urllib.error
import urllib.request

url = f"http://127.0.0.1:{sys.argv[1]}"
deadline = time.monotonic() + 60
while True:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=2)
        break
    except (urllib.error.URLError, ConnectionError):
        if time.monotonic() > deadline:
            raise
        time.sleep(0.2)
with urllib.request.urlopen(f"{url}/v1/samples?seed=7", timeout=10) as response:
    picture = response.read()
    print(response.headers["X-Model"], response.headers["Content-Type"], f"{len(picture):,} bytes")
assert picture.startswith(b"\x89PNG\r\n\x1a\n")
EOF
echo "== its health check"
inside python -c "import os, urllib.request; print(urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"GAN_PORT\"]}/readyz', timeout=2).status)"
echo "all well"
