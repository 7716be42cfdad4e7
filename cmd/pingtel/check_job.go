package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/discovery"
	"github.com/pingtel/pingtel/internal/nagios"
)

// checkJob is what one run of check does.
type checkJob struct {
	config icmpcore.Config
	marks  bool                                 // some host is pinged with a firewall mark
	hosts  func(yield func([]byte) error) error // what aims is called with; nil: it needs no hosts
	aims   func(ctx context.Context, hosts []string) ([]aim, error)
	closer io.Closer // of the file that hosts reads
}

// aim is one host to check.
type aim struct {
	host       string
	opts       icmpcore.Options
	thresholds nagios.Thresholds
	marks      []nagios.Mark
}

// job works out what to check, from the flags or the config file.
func (f *checkFlags) job(cmd *cobra.Command, args []string) (checkJob, error) {
	if f.configFile != "" {
		return f.fileJob(cmd, args)
	}
	args = append(slices.Clone(f.named), args...)
	thresholds, err := f.finish(cmd, args)
	if err != nil {
		return checkJob{}, err
	}
	hosts, closer, err := f.hosts(args, cmd.InOrStdin())
	if err != nil {
		return checkJob{}, err
	}
	aims := func(_ context.Context, hosts []string) ([]aim, error) {
		opts, err := f.planFor(len(hosts), thresholds)
		if err != nil {
			return nil, err
		}
		aims := make([]aim, len(hosts))
		for i, host := range hosts {
			aims[i] = aim{host: host, opts: opts, thresholds: thresholds}
		}
		return aims, nil
	}
	return checkJob{config: f.config, marks: f.opts.Mark != 0, hosts: hosts, aims: aims, closer: closer}, nil
}

// read returns all hosts to check. The time of the run bounds also how long a
// list of hosts takes to come: a part of it would be no answer.
func (j *checkJob) read(ctx context.Context) ([]aim, error) {
	if j.hosts == nil {
		return j.aims(ctx, nil)
	}
	type list struct {
		hosts []string
		err   error
		panic string
	}
	read := make(chan list, 1)
	go func() { // ends with the list; one that never ends is left alone
		var l list
		defer func() {
			if v := recover(); v != nil { // for recovered, which is not on this goroutine
				read <- list{panic: fmt.Sprintf("%v\n\n%s", v, debug.Stack())}
			}
		}()
		l.err = j.hosts(func(host []byte) error {
			l.hosts = append(l.hosts, string(host))
			return ctx.Err()
		})
		read <- l
	}()
	select {
	case <-ctx.Done():
		return nil, errIncomplete
	case l := <-read:
		switch {
		case l.panic != "":
			panic(l.panic)
		case ctx.Err() != nil:
			return nil, errIncomplete
		case l.err != nil:
			return nil, fmt.Errorf("hosts: %w", l.err)
		case len(l.hosts) == 0:
			return nil, errors.New("the file names no host: want one on each line")
		}
		return j.aims(ctx, l.hosts)
	}
}

var errIncomplete = errors.New("ended before the list of hosts was complete")

// fileJob makes the job of a config file. It refuses flags that say whom and how
// to check: the file does.
func (f *checkFlags) fileJob(cmd *cobra.Command, args []string) (checkJob, error) {
	if also := besideConfig(cmd, args, "timeout", "need", "quiet", "verbose", "perfdata", "path"); len(also) > 0 {
		f.faults.add(fmt.Errorf("--config: hosts, options and thresholds are in the file: want no %s with it", strings.Join(also, ", ")))
	}
	if err := f.faults.err(); err != nil {
		return checkJob{}, err
	}
	file, err := config.Load(f.configFile, os.LookupEnv)
	if err != nil {
		return checkJob{}, err
	}
	if len(file.Targets) == 0 && len(file.Sources) == 0 {
		return checkJob{}, errNoTargets(file)
	}
	warnMissing(file, warnOn(cmd.ErrOrStderr()))
	job := checkJob{
		config: icmpcore.Config{Socket: file.Agent.Socket, MaxRate: file.Agent.MaxRate},
		closer: io.NopCloser(nil), // Load has closed it
	}
	job.marks = file.Marks()
	aims, err := f.fileAims(file.Targets, file.Agent.MaxRate)
	if err != nil {
		return checkJob{}, err
	}
	job.aims = func(ctx context.Context, _ []string) ([]aim, error) {
		if len(file.Sources) == 0 {
			return aims, nil
		}
		sources := discovery.Read(ctx, file, discovery.Options{Version: productVersion(buildInfo())})
		if err := sources.Without(); err != nil { // a part of the targets would be no answer
			return nil, err
		}
		return f.fileAims(sources.Targets(), file.Agent.MaxRate)
	}
	return job, nil
}

// fileAims makes the aims of a file's targets.
func (f *checkFlags) fileAims(targets []config.Target, rate int) ([]aim, error) {
	var aims []aim
	var options []icmpcore.Options
	for _, t := range targets {
		aims = append(aims, aim{t.Host, t.Options, judgedBy(t.Thresholds), marks(t)})
		options = append(options, t.Options)
	}
	if takes := runTime(options, len(options), rate); takes >= f.total {
		return nil, fmt.Errorf("--timeout %v is too short: the file's targets take up to %v: want a longer one", f.total, takes)
	}
	return aims, nil
}

// marks are what may distinguish a target of a file from another one of its host.
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

// judgedBy fills in the defaults of check for what the flags or the file leave
// open: without them a dead host would be OK. A default gives way to the level
// that is given, so that no warning is above its critical level.
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
