package nagios

import (
	"slices"
	"strconv"
)

// Mark is an option or a tag of a target. It can distinguish the target from
// another one of the same host.
type Mark struct {
	Name  string // "" where the value alone says it
	Value string
}

func (m Mark) String() string {
	if m.Name == "" {
		return m.Value
	}
	return m.Name + " " + m.Value
}

// suffixes returns what comes after the host of each verdict, so that no two have
// the same name: the marks in which the targets of one host differ, or a number if
// they differ in none. It depends only on the targets and their order, never on a
// result: the name of a time series is the same in every run.
func suffixes(verdicts []Verdict) []string {
	hosts := make(map[string][]int, len(verdicts)) // as they stand in a label
	for i, v := range verdicts {
		host := labelText(v.Result.Host)
		hosts[host] = append(hosts[host], i)
	}
	out := make([]string, len(verdicts))
	for _, same := range hosts {
		if len(same) == 1 {
			continue
		}
		telling := tellingMarks(verdicts, same)
		for _, i := range same {
			for _, m := range verdicts[i].Marks {
				if telling[m.Name] {
					out[i] += " " + m.String()
				}
			}
		}
	}
	seen := make(map[string]int, len(verdicts))
	for i, v := range verdicts {
		name := labelText(v.Result.Host + out[i])
		for {
			seen[name]++
			n := seen[name]
			if n == 1 {
				break
			}
			number := " #" + strconv.Itoa(n)
			if seen[name+number] == 0 {
				seen[name+number]++
				out[i] += number
				break
			}
		}
	}
	return out
}

// tellingMarks returns the names of the marks that differ among some verdicts.
func tellingMarks(verdicts []Verdict, some []int) map[string]bool {
	telling := make(map[string]bool)
	first := verdicts[some[0]].Marks
	for _, i := range some[1:] {
		marks := verdicts[i].Marks
		for _, m := range first {
			telling[m.Name] = telling[m.Name] || !slices.Contains(marks, m)
		}
		for _, m := range marks {
			telling[m.Name] = telling[m.Name] || !slices.Contains(first, m)
		}
	}
	return telling
}
