// Manpage writes pingtel.toml(5), the manual page of the configuration file:
//
//	go run ./packaging/manpage config.example.toml >pingtel.toml.5
//
// The page is made from the example file alone: its sections, its keys, their
// values, and the comments that explain them. So there is one text to keep
// right. The date of the page is SOURCE_DATE_EPOCH, or today.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manpage:", err)
		os.Exit(1)
	}
}

func run(args []string, epoch string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want the example file", len(args))
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	date := time.Now()
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		date = time.Unix(seconds, 0)
	}
	example, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s:%w", args[0], err)
	}
	_, err = io.WriteString(out, render(example, date.UTC()))
	return err
}
