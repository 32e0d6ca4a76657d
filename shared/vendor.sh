#!/bin/sh
# Puts the sources of yyjson and CRoaring into a cache directory that all
# build directories share, and prints nothing unless something is fetched.
#
#   shared/vendor.sh CACHE_DIR
#
# Leaves CACHE_DIR/yyjson-4.0.6/{yyjson.c,yyjson.h} and
# CACHE_DIR/pyroaring-1.2.0/{roaring.c,roaring/roaring.h}. The archives are
# pinned by sha256: pip refuses any other bytes before it looks inside. A
# directory appears by rename, so it is whole or absent; a lock keeps two
# configure steps apart.
set -eu

cache=$1
yyjson="yyjson==4.0.6 --hash=sha256:fcd4dc15c1e39a30bf9fa85d56903029111506860fc3080ab0d81c6c6dacaa8c"
roaring="pyroaring==1.2.0 --hash=sha256:e33bf8fc8d8aad7373f62147cb5dbfaf0fdcf19af8069d034cd8ef4fb41a78af"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$cache/yyjson-4.0.6" ] && [ -d "$cache/pyroaring-1.2.0" ]; then
	exit 0
fi

work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Not `--no-binary :all:`: pip hands that on to the build requirements, and
# compiling Cython only to read a version takes minutes.
fetch() { # name, requirement
	printf '%s\n' "$2" >"$work/$1.txt"
	"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary "$1" \
		--require-hashes --dest "$work/$1" --requirement "$work/$1.txt" >"$work/$1.log" 2>&1 &&
		tar -xzf "$work/$1"/*.tar.gz -C "$work/$1"
}

echo "fetching the sources of yyjson 0.10 and CRoaring 5.2"
python3 -m venv "$work/venv"
fetch yyjson "$yyjson" &
yyjson_pid=$!
fetch pyroaring "$roaring" &
roaring_pid=$!
failed=
wait "$yyjson_pid" || failed="yyjson"
wait "$roaring_pid" || failed="$failed pyroaring"
if [ -n "$failed" ]; then
	for name in $failed; do tail -n 20 "$work/$name.log" >&2; done
	echo "cannot fetch the pinned sources of:$failed (is the package index reachable?)" >&2
	exit 1
fi

mkdir "$work/y" "$work/r" "$work/r/roaring"
cp "$work"/yyjson/yyjson-4.0.6/yyjson/yyjson.[ch] "$work/yyjson/yyjson-4.0.6/LICENSE" "$work/y/"
cp "$work/pyroaring/pyroaring-1.2.0/pyroaring/roaring.c" "$work/pyroaring/pyroaring-1.2.0/LICENSE" "$work/r/"
cp "$work/pyroaring/pyroaring-1.2.0/pyroaring/roaring.h" "$work/r/roaring/"
[ -d "$cache/yyjson-4.0.6" ] || mv "$work/y" "$cache/yyjson-4.0.6"
[ -d "$cache/pyroaring-1.2.0" ] || mv "$work/r" "$cache/pyroaring-1.2.0"
