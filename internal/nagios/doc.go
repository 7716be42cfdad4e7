// Package nagios judges results by thresholds and writes what Nagios, Icinga and
// the schedulers like them read from a check, as the Monitoring Plugins
// guidelines have it.
//
// A value at or above its threshold alerts. The worst host decides: critical
// before warning before unknown before OK, the order of the guidelines' own
// tools. Performance data has the labels rta (ms), pl (%) and jitter (ms), each
// behind the host's name where there are several hosts. Names are unique, and
// labels never come and go: a value that could not be measured is U.
package nagios
