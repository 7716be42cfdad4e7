package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is the [path] table.
type Path struct {
	OnLoss bool    // trace targets that begin to lose
	Loss   float64 // percent of a round's echoes from which on they do
	Max    int     // traces after a loss at once
	MTU    bool    // find the MTU of the path, too

	// Share is what traces may add to the echoes of the schedule; a full budget adds to it.
	// The file does not set it.
	Share float64
}

// pathShare is less than the one percent that a storm may cost.
const pathShare = 0.006

// readPath reads the [path] table.
func (r *reader) readPath(t *table, p *Path) {
	*p = Path{Loss: 20, Max: 20, Share: pathShare}
	when := "never"
	read(t, "when", r.oneOf("never", "loss"), &when)
	p.OnLoss = when == "loss"
	read(t, "loss", r.percent, &p.Loss)
	read(t, "max", integer(1, 1000), &p.Max)
	read(t, "mtu", boolean, &p.MTU)
	t.refuseUnknown()
}

// percent converts a share of loss that is more than none.
func (r *reader) percent(v any) (float64, error) {
	s, err := r.text(v)
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("%q: want a loss above 0%% and up to 100%%, such as \"20%%\"", s)
	}
	return n, nil
}
