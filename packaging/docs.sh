#!/usr/bin/env bash
# Gathers the documents of packages and archives: packaging/docs.sh OUTDIR
#
#   OUTDIR/doc         the guides, and the files that they tell people to copy
#   OUTDIR/man         the manual pages
#   OUTDIR/completion  what completes commands in a shell
#
# The guides keep their places, so that the links between them work where they
# are installed. SOURCE_DATE_EPOCH is the date of the manual pages.
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTDIR" >&2
	exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

guides=(README.md CHANGELOG.md SECURITY.md LICENSE docs)
to_copy=(config.example.toml packaging/pingtel.service deploy dashboards integration/{telegraf,otel,targets}/*.{md,conf,toml,yaml})
for path in "${guides[@]}" "${to_copy[@]}"; do
	if [ ! -e "$path" ]; then continue; fi # a pattern that matches nothing
	find "$path" -type f ! -name '*.go' -exec install -D -m 0644 {} "$out/doc/{}" \;
done

# they are made here, whatever system the packages are for
export GOOS='' GOARCH='' GOARM=''
go run -tags gendocs ./cmd/pingtel gendocs "$out"
go run ./packaging/manpage config.example.toml >"$out/man/pingtel.toml.5"
# the commands that read the file refer to its page
for page in "$out"/man/pingtel*.1; do
	if grep -qe '--config' -e 'config check' "$page"; then sed -i '$s/$/, \\fBpingtel.toml(5)\\fP/' "$page"; fi
done
