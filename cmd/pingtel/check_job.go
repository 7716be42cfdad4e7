package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
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
	each   func(check func(aim) error) error
	closer io.Closer // of the file that each reads
}

// aim is one host to check.
type aim struct {
	host       string
	opts       icmpcore.Options
	thresholds nagios.Thresholds
	marks      []nagios.Mark
}

// fileJob makes the job of a config file. The other flags that say whom and
// how to check do not go with it.
func (f *checkFlags) fileJob(cmd *cobra.Command, args []string) (checkJob, error) {
	var also []string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		switch flag.Name {
		case "config", "timeout-total", "quiet", "perfdata":
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
		each: func(check func(aim) error) error {
			for _, t := range file.Targets {
				if err := check(aim{t.Host, t.Options, judgedBy(t.Thresholds), marks(t)}); err != nil {
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

// marks are what may tell a target of a file from another one of its host.
func marks(t config.Target) []nagios.Mark {
	var marks []nagios.Mark
	add := func(name, value string, given bool) {
		if given {
			marks = append(marks, nagios.Mark{Name: name, Value: value})
		}
	}
	o := t.Options
	_, noAddress := netip.ParseAddr(t.Host)
	add("", o.Family.String(), o.Family != icmpcore.FamilyAuto && noAddress != nil) // an address has one family
	add("dscp", strconv.Itoa(o.DSCP), o.DSCP != 0)
	add("source", o.Source.String(), o.Source.IsValid())
	add("interface", o.Interface, o.Interface != "")
	for _, tag := range t.Tags {
		add(tag.Key, tag.Value, true)
	}
	return marks
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
	aim
	result     icmpcore.PingResult
	unfinished bool
}

// judge runs the job and returns the verdicts in the order of the hosts. A
// host that time did not suffice for has one too.
func (j *checkJob) judge(ctx context.Context, s *sweep.Sweep) ([]nagios.Verdict, error) {
	var mu sync.Mutex // guards hosts and what it holds
	var hosts []*checked
	err := s.Run(ctx, func(yield func([]byte, *sweep.Probe) error) error {
		return j.each(func(a aim) error {
			c := &checked{aim: a, result: icmpcore.PingResult{Host: a.host}, unfinished: true}
			mu.Lock()
			hosts = append(hosts, c)
			mu.Unlock()
			return yield([]byte(a.host), s.Probe(a.opts, func(r icmpcore.PingResult) {
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
		verdicts[i].Marks = c.marks
	}
	return verdicts, nil
}

// cutShort reports whether a series ended early because the check did.
func cutShort(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
