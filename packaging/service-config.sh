#!/bin/sh
# The configuration with which the service and the container start, from the example
# on stdin: with the listener on loopback, since a service without any output does
# not start.
set -eu
sed 's/^listen = ""$/listen = "127.0.0.1:9473"/'
