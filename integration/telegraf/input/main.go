// Command telegraf-input is the input of package pingtel as a program for
// Telegraf's inputs.execd, by Telegraf's own shim. It takes the flags that the
// shim's programs take.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/influxdata/telegraf/plugins/common/shim"

	"example.com/telegraf-input/pingtel"
)

func main() {
	config := flag.String("config", "", "the `file` with the settings of [[inputs.pingtel]]")
	interval := flag.Duration("poll_interval", time.Second, "ping this often")
	disabled := flag.Bool("poll_interval_disabled", false, "ping only when a line comes on stdin")
	sample := flag.Bool("sample", false, "print the settings with their defaults, and exit")
	flag.Parse()
	if *sample {
		fmt.Print(new(pingtel.Input).SampleConfig())
		return
	}
	if *disabled {
		*interval = shim.PollIntervalDisabled
	}
	if err := run(*config, *interval); err != nil {
		fmt.Fprintln(os.Stderr, "E!", err)
		os.Exit(1)
	}
}

func run(config string, interval time.Duration) error {
	s := shim.New()
	if err := s.LoadConfig(&config); err != nil {
		return err
	}
	return s.Run(interval)
}
