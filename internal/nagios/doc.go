// Package nagios judges results by thresholds and writes what Nagios, Icinga and
// similar schedulers read from a check, as the Monitoring Plugins guidelines
// define it.
//
// A value at or above its threshold alerts. The worst host decides: CRITICAL
// before WARNING before UNKNOWN before OK, as in the guidelines' own tools.
// Performance data has the labels rta, rtmin, rtmax and jitter (ms) and pl (%),
// each after the host's name if there are several hosts. Labels are unique and
// the same in every run: a value that could not be measured is U.
package nagios
