// Command parse reads the answer to a scrape from stdin and prints, one on each
// line, the series that Prometheus' own parser finds in it. Its argument is the
// answer's Content-Type.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: parse CONTENT-TYPE <ANSWER")
	}
	answer, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	p, err := textparse.New(answer, os.Args[1], nil, textparse.ParserOptions{KeepClassicOnClassicAndNativeHistograms: true})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		var series labels.Labels
		switch kind {
		case textparse.EntrySeries:
			p.Labels(&series)
			_, _, v := p.Series()
			fmt.Fprintln(out, series, strconv.FormatFloat(v, 'g', -1, 64))
		case textparse.EntryHistogram:
			p.Labels(&series)
			_, _, h, _ := p.Histogram()
			if err := h.Validate(); err != nil {
				return err
			}
			fmt.Fprintln(out, series, h)
		}
	}
}
