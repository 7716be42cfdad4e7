package otel

import (
	"context"
	"time"
)

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
