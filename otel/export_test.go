package otel

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Logged is a log that a test reads.
type Logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// Take returns the lines since the last call.
func (l *Logged) Take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return slices.Collect(strings.Lines(l.b.String()))
}

// What the tests over the wire, which need the exporters of internal/otlp, look
// at.
const (
	MessageLimit  = messageLimit
	LeastLimit    = leastLimit
	MaxStreams    = maxStreams
	RecoverPushes = recoverPushes
)

func (p *Pusher) Push(ctx context.Context) { p.push(ctx, false) }

func (p *Pusher) Limit() int { return p.limit }

func (p *Pusher) SetLimit(n int) { p.limit, p.smallest = n, n }

func (p *Pusher) SetCalm(pushes int) { p.calm = pushes }

// Reckoned returns the size that the last message was reckoned with.
func (p *Pusher) Reckoned() int { return p.chunk.size + p.head }

// End logs the end as Close does.
func (p *Pusher) End() { p.health.end(p.log(), 0, 0) }

// ForgetCrowded makes it longer ago that a host with too many addresses was
// logged.
func (p *Pusher) ForgetCrowded() { p.toldCrowded = p.toldCrowded.Add(-time.Hour) }
