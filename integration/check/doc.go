// Package check compares pingtel check with what it replaces and with who reads
// it: the standard plugins check_ping and check_icmp, the examples of
// docs/check.md in Nagios, Icinga and systemd, and Telegraf's parser. It holds
// tests only.
package check
