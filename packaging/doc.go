// Package packaging holds what the packages are made from, and tests of what
// they promise: that a build can be repeated to the byte, that the binary needs
// no library of the system, that every dependency has its reason written down,
// that what lies in deploy fits the command, its configuration and the image,
// and that links work where a package is installed. release.sh makes a release,
// build.sh its packages, docs.sh the documents in both.
package packaging
