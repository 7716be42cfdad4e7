#!/usr/bin/env bash
# Gathers the documents of the packages: packaging/docs.sh OUTDIR
#
# They keep their places, so that the links between them work where they are
# installed. With the guides come the files that they tell people to copy.
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTDIR" >&2
	exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

for f in README.md CHANGELOG.md SECURITY.md config.example.toml docs/*.md integration/{telegraf,otel}/*.{md,conf,toml,yaml}; do
	if [ -f "$f" ]; then install -D -m 0644 "$f" "$out/$f"; fi
done
