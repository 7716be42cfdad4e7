// Grafana's schema of dashboards. A module of its own: what it takes is no dependency of pingtel.
module github.com/pingtel/pingtel/integration/peer/grafana

go 1.26.7

require github.com/grafana/grafana-foundation-sdk/go v0.0.22
