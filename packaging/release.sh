#!/usr/bin/env bash
# Builds everything that a release has: packaging/release.sh VERSION OUTDIR
#
#   OUTDIR/pingtel_VERSION_OS_ARCH.tar.gz    binary, guides, files to copy, manual
#                                            pages, completions (.zip for Windows)
#   OUTDIR/pingtel_VERSION_ARCH.deb          for Linux on amd64 and arm64
#   OUTDIR/pingtel-VERSION-1.ARCH.rpm        the same
#   OUTDIR/pingtel_VERSION_OS_ARCH.cdx.json  the modules in each binary (CycloneDX)
#   OUTDIR/SHA256SUMS                        of all these
#
# It builds the last commit, in a clone of its own with the tag vVERSION, so that
# the binaries have that version. Changes that are not committed are left out.
# The same commit, Go, gzip and zip give the same bytes, on any machine. The date
# of all files is SOURCE_DATE_EPOCH, or that of the commit. PLATFORMS, such as
# "linux/amd64 windows/amd64", builds only these. Needs git, Go, jq and zip.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC

cyclonedx=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
platforms=${PLATFORMS:-linux/amd64 linux/arm64 linux/armv7 freebsd/amd64 darwin/arm64 darwin/amd64 windows/amd64}
packaged=' linux/amd64 linux/arm64 ' # have a .deb and an .rpm

fail() {
	echo "release.sh: $*" >&2
	exit 1
}

if [ $# -ne 2 ]; then
	echo "usage: $0 VERSION OUTDIR" >&2
	exit 2
fi
version=${1#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "version $1: want one such as 0.1.0"
mkdir -p "$2"
out=$(cd "$2" && pwd)
[ -z "$(ls -A "$out")" ] || fail "$out is not empty"
repository=$(cd "$(dirname "$0")/.." && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

commit=$(git -C "$repository" rev-parse HEAD)
tagged=$(git -C "$repository" rev-parse -q --verify "refs/tags/v$version^{commit}" || echo "$commit")
[ "$tagged" = "$commit" ] || fail "the tag v$version is another commit ($tagged) than the one checked out ($commit)"
[ -z "$(git -C "$repository" status --porcelain)" ] || echo "release.sh: building $commit without the changes that are not committed" >&2
git clone -q --no-tags --no-checkout "$repository" "$work/src"
cd "$work/src"
git checkout -q --detach "$commit"
git tag "v$version"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# what this machine has set otherwise would be in the bytes
export SOURCE_DATE_EPOCH CGO_ENABLED=0 GOFLAGS='-mod=readonly -trimpath' GOAMD64=v1 GOARM64=v8.0 GOARM=7 GOEXPERIMENT=

packaging/docs.sh "$work/docs"

# binary OS ARCH: builds it in the folder "$work/OS/ARCH", and the packages.
binary() {
	local dir=$work/$1/$2
	if [[ $packaged == *" $1/$2 "* ]]; then
		GOARCH=$2 packaging/build.sh "$version" "$dir"
		mv "$dir"/*.deb "$dir"/*.rpm "$out/"
	else
		GOOS=$1 GOARCH=${2%v7} go build -trimpath -tags grpcnotrace -buildvcs=true -o "$dir/" ./cmd/pingtel
	fi
}

# archive OS ARCH NAME: packs the binary with the documents, in a folder NAME.
archive() {
	local dir=$work/archive/$3
	mkdir -p "$dir"
	cp -r "$work/docs/doc/." "$dir/"
	cp "$work/$1/$2"/pingtel* "$dir/"
	if [ "$1" != windows ]; then cp -r "$work/docs/man" "$work/docs/completion" "$dir/"; fi
	chmod -R u=rwX,go=rX "$dir"
	find "$dir" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	if [ "$1" = windows ]; then
		(cd "$work/archive" && find "$3" | sort | zip -q -9 -X -@ "$out/$3.zip")
	else
		tar -C "$work/archive" --format=ustar --sort=name --owner=0 --group=0 --numeric-owner -cf - "$3" | gzip -n9 >"$out/$3.tar.gz"
	fi
}

for platform in $platforms; do
	os=${platform%/*} arch=${platform#*/}
	name=pingtel_${version}_${os}_$arch
	echo "$name"
	binary "$os" "$arch"
	built=$(echo "$work/$os/$arch"/pingtel*)
	[ "$(go version -m "$built" | awk '$1 == "mod" { print $3 }')" = "v$version" ] || fail "$platform: the binary does not have the version v$version"
	archive "$os" "$arch" "$name"
	# the tool tells its own hashes too, which are others on another kind of machine
	go run "$cyclonedx" bin -json -std -noserial -notimestamp "$built" | jq 'del(.metadata.tools[].hashes)' >"$out/$name.cdx.json"
done

cd "$out"
sha256sum -- * >"$work/SHA256SUMS"
install -m 0644 "$work/SHA256SUMS" .
