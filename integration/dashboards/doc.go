// Package dashboards runs every query of the dashboards and rules in the folder
// dashboards against the real Prometheus and the real InfluxDB, fed by pingtel in a
// simulated network, and checks what comes back.
package dashboards
