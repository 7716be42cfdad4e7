// Command grafana_schema checks dashboards against the schema of Grafana's
// Foundation SDK: no unknown key, no missing one, no value of another type. That
// holds for the dashboard, its panels and variables, the options of each panel and
// its queries for Prometheus. The SDK has no schema of the queries for InfluxDB and
// of the values of overrides.
//
//	grafana_schema FILE...
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/statushistory"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] == "--help" {
		fmt.Fprintln(os.Stderr, "usage: grafana_schema FILE...")
		os.Exit(2)
	}
	r := cog.NewRuntime()
	r.RegisterDataqueryVariant(prometheus.VariantConfig())
	for _, panel := range []variants.PanelcfgConfig{
		heatmap.VariantConfig(), stat.VariantConfig(), statetimeline.VariantConfig(), statushistory.VariantConfig(),
		table.VariantConfig(), timeseries.VariantConfig(),
	} {
		r.RegisterPanelcfgVariant(panel)
	}
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			failed = true
			fmt.Printf("%s:\n%v\n", file, err)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d dashboard.Dashboard
	var none cog.BuildErrors // a list without an error is an error to Go
	if err := d.UnmarshalJSONStrict(text); err != nil && (!errors.As(err, &none) || len(none) > 0) {
		return err
	}
	errs := []error{d.Validate()}
	for _, p := range d.Panels {
		if p.Panel == nil {
			continue // a row
		}
		// of other types the SDK checks nothing inside the options
		if _, known := cog.ConfigForPanelcfgVariant(p.Panel.Type); !known {
			errs = append(errs, fmt.Errorf("the panel %q: the type %q is not among those that this program checks", *p.Panel.Title, p.Panel.Type))
		}
	}
	return errors.Join(errs...)
}
