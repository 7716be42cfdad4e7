// Command nagios reads the output of a Nagios plugin from stdin and prints, one
// JSON object on each line, what Telegraf's own parser makes of it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/influxdata/telegraf/logger"
	"github.com/influxdata/telegraf/plugins/parsers/nagios"
)

// point is one metric of the parser.
type point struct {
	Name   string            `json:"name"`
	Tags   map[string]string `json:"tags"`
	Fields map[string]any    `json:"fields"`
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	output, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	parser := &nagios.Parser{Log: logger.New("parsers", "nagios", "")}
	if err := parser.Init(); err != nil {
		return err
	}
	metrics, err := parser.Parse(output)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, m := range metrics {
		if err := out.Encode(point{m.Name(), m.Tags(), m.Fields()}); err != nil {
			return err
		}
	}
	return nil
}
