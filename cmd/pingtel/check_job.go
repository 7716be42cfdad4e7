package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/nagios"
	"github.com/pingtel/pingtel/internal/sweep"
)

// checkJob is what one run of check does.
type checkJob struct {
	config icmpcore.Config
	marks  bool // some host is pinged with a firewall mark
	each   func(check func(host string, opts icmpcore.Options, t nagios.Thresholds) error) error
	closer io.Closer // of the file that each reads
}

// fileJob makes the job of a config file. The other flags that say whom and
// how to check do not go with it.
func (f *checkFlags) fileJob(cmd *cobra.Command, args []string) (checkJob, error) {
	var also []string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		switch flag.Name {
		case "config", "timeout-total", "quiet":
		default:
			also = append(also, "--"+flag.Name)
		}
	})
	if len(args) > 0 {
		also = append(also, "HOST")
	}
	if len(also) > 0 {
		f.faults.add(fmt.Errorf("--config: hosts, options and thresholds stand in the file: want no %s beside it", strings.Join(also, ", ")))
	}
	if err := f.faults.err(); err != nil {
		return checkJob{}, err
	}
	file, err := config.Load(f.configFile, os.LookupEnv)
	if err != nil {
		return checkJob{}, err
	}
	warnMissing(file, warnOn(cmd.ErrOrStderr()))
	if longest := file.Plan().Longest; longest > f.total {
		return checkJob{}, fmt.Errorf("--timeout-total %v is too short: the file's longest series takes up to %v", f.total, longest)
	}
	job := checkJob{
		config: icmpcore.Config{Socket: file.Agent.Socket, MaxRate: file.Agent.MaxRate},
		closer: io.NopCloser(nil), // Load has closed it
		each: func(check func(string, icmpcore.Options, nagios.Thresholds) error) error {
			for _, t := range file.Targets {
				if err := check(t.Host, t.Options, judgedBy(t.Thresholds)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for _, t := range file.Targets {
		job.marks = job.marks || t.Options.Mark != 0
	}
	return job, nil
}

// judgedBy fills in the defaults of check for what a file leaves open: were it
// not judged, a dead host would pass for well. A default is never below the
// warning that stands in the file.
func judgedBy(t nagios.Thresholds) nagios.Thresholds {
	fill := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	fill(&t.Crit.RTT, max(defaultCritRTT, t.Warn.RTT))
	fill(&t.Warn.RTT, min(defaultWarnRTT, t.Crit.RTT))
	if t.Crit.Loss == 0 {
		t.Crit.Loss = max(defaultCritLoss, t.Warn.Loss)
	}
	if t.Warn.Loss == 0 {
		t.Warn.Loss = min(defaultWarnLoss, t.Crit.Loss)
	}
	return t
}

// checked is one host of a check, and its result once there is one.
type checked struct {
	thresholds nagios.Thresholds
	result     icmpcore.PingResult
	unfinished bool
}

// judge runs the job and returns the verdicts in the order of the hosts. A
// host that time did not suffice for has one too.
func (j *checkJob) judge(ctx context.Context, s *sweep.Sweep) ([]nagios.Verdict, error) {
	var mu sync.Mutex // guards hosts and what it holds
	var hosts []*checked
	err := s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
		return j.each(func(host string, opts icmpcore.Options, t nagios.Thresholds) error {
			c := &checked{thresholds: t, result: icmpcore.PingResult{Host: host}, unfinished: true}
			mu.Lock()
			hosts = append(hosts, c)
			mu.Unlock()
			return yield([]byte(host), s.Probe(opts, func(r icmpcore.PingResult) {
				mu.Lock()
				defer mu.Unlock()
				c.result, c.unfinished = r, cutShort(r.Err)
			}))
		})
	})
	if err != nil {
		return nil, fmt.Errorf("hosts: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(hosts) == 0 {
		if ctx.Err() != nil {
			return nil, errors.New("no host was read in time")
		}
		return nil, errors.New("the file names no host: want one a line")
	}
	verdicts := make([]nagios.Verdict, len(hosts))
	for i, c := range hosts {
		verdicts[i] = nagios.Judge(c.result, c.thresholds, c.unfinished)
	}
	return verdicts, nil
}

// cutShort reports whether a series ended early because the check did.
func cutShort(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
