#!/usr/bin/env bash
# Builds the packages: packaging/build.sh VERSION OUTDIR
#
#   OUTDIR/pingtel_VERSION_ARCH.deb
#   OUTDIR/pingtel-VERSION-1.ARCH.rpm
#   OUTDIR/pingtel                      the binary that is in them
#
# VERSION is that of the packages, such as 0.1.0. The binary takes its own from
# the tag and commit that it is built from. GOARCH chooses the architecture. The
# same commit and Go version give the same bytes, on any machine. The date of
# all files is SOURCE_DATE_EPOCH, or that of the commit.
set -euo pipefail

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

if [ $# -ne 2 ]; then
	echo "usage: $0 VERSION OUTDIR" >&2
	exit 2
fi
version=${1#v}
mkdir -p "$2"
out=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

arch=${GOARCH:-$(go env GOARCH)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH PACKAGE_VERSION=$version PACKAGE_ARCH=$arch
export CGO_ENABLED=0

GOOS=linux GOARCH=$arch go build -trimpath -tags grpcnotrace -buildvcs=true -o "$stage/pingtel" ./cmd/pingtel
packaging/docs.sh "$stage"
gzip -n9 "$stage"/man/*
cp LICENSE packaging/nfpm.yaml packaging/pingtel.service "$stage/"
packaging/service-config.sh <config.example.toml >"$stage/pingtel.toml"
cp -r packaging/scripts "$stage/"
# what nfpm does not set itself must not depend on the umask or the clock
chmod -R u=rwX,go=rX "$stage"
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

cd "$stage"
for packager in deb rpm; do
	GOOS='' GOARCH='' go run "$nfpm" package --config nfpm.yaml --packager "$packager" --target "$out/"
done
install -m 0755 pingtel "$out/pingtel"
