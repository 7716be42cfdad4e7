// Package pingtel is an input of Telegraf that pings with package icmpcore. It
// writes the fields and tags of package plugin. Import it into a Telegraf of
// your own, or run it by inputs.execd.
package pingtel

import (
	"context"
	_ "embed"
	"errors"
	"sync"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/plugins/inputs"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/plugin"
)

//go:embed sample.conf
var sampleConfig string

// Input pings hosts, all at once, each time it is gathered.
type Input struct {
	Hosts        []string        `toml:"hosts"`
	Count        int             `toml:"count"`
	PingInterval config.Duration `toml:"ping_interval"`
	Timeout      config.Duration `toml:"timeout"`
	Percentiles  []float64       `toml:"percentiles"`

	Log telegraf.Logger `toml:"-"`

	format  plugin.Format
	options icmpcore.Options

	pinger *icmpcore.Pinger
	ctx    context.Context // of the series; cancelled by Stop
	cancel context.CancelFunc
}

func init() {
	inputs.Add("pingtel", func() telegraf.Input {
		return &Input{Count: 5, PingInterval: config.Duration(200 * time.Millisecond), Timeout: config.Duration(time.Second)}
	})
}

// SampleConfig returns the settings with their defaults.
func (*Input) SampleConfig() string { return sampleConfig }

// Init checks the settings.
func (in *Input) Init() error {
	if len(in.Hosts) == 0 {
		return errors.New("hosts is empty: name at least one host to ping")
	}
	in.format = plugin.Format{Percentiles: in.Percentiles}
	in.options = icmpcore.Options{Count: in.Count, Interval: time.Duration(in.PingInterval), Timeout: time.Duration(in.Timeout)}
	return in.options.Validate()
}

// Start opens the sockets.
func (in *Input) Start(telegraf.Accumulator) error {
	pinger, err := icmpcore.Open(icmpcore.Config{})
	if err != nil {
		return err
	}
	in.pinger = pinger
	in.ctx, in.cancel = context.WithCancel(context.Background())
	return nil
}

// Gather pings every host and returns when the last series has ended. A host
// that could not be pinged is a point too: its field error says why.
func (in *Input) Gather(acc telegraf.Accumulator) error {
	var series sync.WaitGroup
	for _, host := range in.Hosts {
		series.Go(func() {
			res, err := in.pinger.Ping(in.ctx, host, in.options)
			if err != nil {
				in.Log.Warnf("cannot ping %s: %v", host, err)
			}
			acc.AddFields("ping", plugin.Fields(in.format, &res), plugin.Tags(host, nil, &res), res.Start)
		})
	}
	series.Wait()
	return nil
}

// Stop ends the series that still run, and closes the sockets.
func (in *Input) Stop() {
	in.cancel()
	if err := in.pinger.Close(); err != nil {
		in.Log.Errorf("closing the sockets: %v", err)
	}
}
