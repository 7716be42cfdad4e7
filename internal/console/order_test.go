package console

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

// given collects the hosts of results as they are given out.
type given []string

func (g *given) add(r *icmpcore.PingResult) { *g = append(*g, r.Host) }

func named(i int) *icmpcore.PingResult { return &icmpcore.PingResult{Host: strconv.Itoa(i)} }

func TestOrderKeepsFewHosts(t *testing.T) {
	for range 100 {
		var got given
		o := order{most: math.MaxInt}
		want := make([]string, 30)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		for n, i := range rand.Perm(30) {
			if i == 7 {
				o.add(i, nil, got.add) // it was interrupted before it began
				continue
			}
			o.add(i, named(i), got.add)
			if !slices.IsSorted(got.numbers()) {
				t.Fatalf("after %d results the order is %v", n+1, got)
			}
		}
		if want = slices.Delete(want, 7, 8); !slices.Equal(got, want) {
			t.Fatalf("order %v", got)
		}
		o.release(got.add)
		if len(got) != 29 {
			t.Fatalf("released twice: %v", got)
		}
	}
}

func (g given) numbers() (list []int) {
	for _, host := range g {
		n, err := strconv.Atoi(host)
		if err != nil {
			panic(err)
		}
		list = append(list, n)
	}
	return list
}

func TestOrderEndsWithManyHosts(t *testing.T) {
	var got given
	o := order{most: 3}
	o.add(2, named(2), got.add)
	o.add(1, named(1), got.add)
	o.add(9, named(9), got.add) // beyond those that are kept
	o.release(got.add)
	o.add(0, named(0), got.add)
	o.add(4, nil, got.add)
	o.release(got.add)
	if want := (given{"9", "1", "2", "0"}); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	var none order
	none.add(0, named(5), got.add)
	if got[len(got)-1] != "5" {
		t.Errorf("the zero value holds results back: %v", got)
	}
}
