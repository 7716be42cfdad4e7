package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// reader converts the decoded file to values and collects the faults.
type reader struct {
	file   string
	lookup func(string) (string, bool)
	lines  *keyLines
	faults Faults
	needs  []need // interfaces and addresses that this machine must have
	prober string // value of the tag that [fleet] adds to all targets, "" for none

	interval     time.Duration // replaces agent.interval, unless 0
	intervalName string        // the flag that set it
}

// table is one table of the file.
type table struct {
	r      *reader
	path   string // dotted
	values map[string]any
	known  []string // keys that the reader has asked for
	hosts  []any    // the list under hosts; values itself is dropped once it is read
}

// decode parses the file's syntax.
func (r *reader) decode(text string) (*table, bool) {
	text = strings.TrimPrefix(text, "\uFEFF") // like the library, so that findLines sees the same text
	if line, problem := bound(text); problem != "" {
		r.faults = append(r.faults, Fault{File: r.file, Line: line, Problem: problem})
		return nil, false
	}
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		f := Fault{File: r.file, Problem: err.Error()}
		var p toml.ParseError
		if errors.As(err, &p) {
			f.Line, f.Problem = p.Position.Line, p.Message
			if p.LastKey != "" {
				f.Key = p.LastKey
			}
		}
		r.faults = append(r.faults, f)
		return nil, false
	}
	r.lines = findLines(text)
	for _, d := range r.lines.again { // the library merges such tables without an error
		r.faults = append(r.faults, Fault{File: r.file, Line: d.line, Key: d.path,
			Problem: fmt.Sprintf("line %d defines it already: put its keys together, in one table", d.first)})
	}
	return &table{r: r, values: values}, true
}

func (t *table) keyPath(key string) string {
	if t.path == "" {
		return key
	}
	return t.path + "." + key
}

// fault notes what is wrong with a key.
func (t *table) fault(key, format string, args ...any) {
	f := t.at(key)
	f.Problem = fmt.Sprintf(format, args...)
	t.r.faults = append(t.r.faults, f)
}

// at returns a fault of a key with an empty Problem.
func (t *table) at(key string) Fault {
	path := t.keyPath(key)
	return Fault{File: t.r.file, Line: t.r.lines.of(path), Key: path}
}

// elementFault notes what is wrong with an element of a key's list.
func (t *table) elementFault(key string, index int, format string, args ...any) {
	path := t.keyPath(key)
	t.r.faults = append(t.r.faults, Fault{File: t.r.file, Line: t.r.lines.element(path, index), Key: path, Problem: fmt.Sprintf(format, args...)})
}

// value returns the value of key.
func (t *table) value(key string) (any, bool) {
	t.known = append(t.known, key)
	v, ok := t.values[key]
	return v, ok
}

// table returns the table under key, or an empty one if there is none.
func (t *table) table(key string) *table {
	sub := &table{r: t.r, path: t.keyPath(key)}
	v, ok := t.value(key)
	if !ok {
		return sub
	}
	if sub.values, ok = v.(map[string]any); !ok {
		t.fault(key, "is %s: want a table, [%s]", kindOf(v), key)
	}
	return sub
}

// tables returns the tables under key: [[key]] or a list of inline tables. none
// reports whether the key has no table at all.
func (t *table) tables(key string) (subs []*table, none bool) {
	v, ok := t.value(key)
	if !ok {
		return nil, true
	}
	list, ok := v.([]map[string]any)
	if inline, isList := v.([]any); isList {
		ok = true
		for _, x := range inline {
			values, isTable := x.(map[string]any)
			ok = ok && isTable
			list = append(list, values)
		}
	}
	if !ok {
		t.fault(key, "is %s: want tables, [[%s]]", kindOf(v), key)
		return nil, false
	}
	for i, values := range list {
		subs = append(subs, &table{r: t.r, path: t.keyPath(key) + "[" + itoa(i) + "]", values: values})
		list[i] = nil // so that each table can be freed once it is read
	}
	return subs, len(list) == 0
}

// refuseUnknown adds a fault for every key that the reader has not asked for.
func (t *table) refuseUnknown() {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.known, key) {
			continue
		}
		near := nearest(key, t.known)
		switch hint := hintOf(t.path, key); {
		case hint != "":
			t.fault(key, "unknown key: %s", hint)
		case near != "":
			t.fault(key, "unknown key: did you mean %s?", near)
		default:
			t.fault(key, "unknown key: want one of %s", strings.Join(t.known, ", "))
		}
	}
}

// read sets *dst to the value of key, if there is a valid one, and reports
// whether it did.
func read[T any](t *table, key string, convert func(any) (T, error), dst *T) bool {
	v, ok := t.value(key)
	if !ok {
		return false
	}
	got, err := convert(v)
	if err == nil {
		*dst = got
		return true
	}
	for _, e := range each(err) {
		if in := (*keyError)(nil); errors.As(e, &in) {
			t.fault(key+"."+in.key, "%v", in.err)
			continue
		}
		t.fault(key, "%v", e)
	}
	return false
}

// keyError is what is wrong with one key of a table of strings.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }

// each returns the errors that err joins, or err alone.
func each(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}

// optional reads a key that may be absent.
func optional[T any](t *table, key string, convert func(any) (T, error), dst **T) {
	var v T
	if read(t, key, convert, &v) {
		*dst = &v
	}
}

// text converts a string and replaces the variables in it.
func (r *reader) text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("is %s: want a string", kindOf(v))
	}
	return r.expand(s)
}

// errNotUTF8 is the error of a text that no output could carry. Only variables
// can have it: TOML does not allow such text in a file.
var errNotUTF8 = errors.New("contains bytes that are not text: want UTF-8")

// expand replaces every ${VAR} by the variable's value. Any other dollar sign
// stays as it is.
func (r *reader) expand(s string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%q: want a } after ${", "${"+rest)
		}
		value, set := r.lookup(name)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set: set it, or remove ${%s}", name, name)
		}
		if !utf8.ValidString(value) {
			return "", fmt.Errorf("the environment variable %s: %w", name, errNotUTF8)
		}
		b.WriteString(value)
		s = after
	}
}

// oneOf converts a string that must be one of words.
func (r *reader) oneOf(words ...string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := r.text(v)
		if err == nil && !slices.Contains(words, s) {
			err = fmt.Errorf("%q: want one of %s", s, strings.Join(words, ", "))
		}
		return s, err
	}
}

// duration converts a string with a unit, or a number of seconds.
func (r *reader) duration(low, high time.Duration) func(any) (time.Duration, error) {
	return func(v any) (time.Duration, error) {
		var d time.Duration
		switch v := v.(type) {
		case int64:
			d = secondsOf(float64(v))
		case float64:
			d = secondsOf(v)
		default:
			if _, ok := v.(string); !ok {
				return 0, fmt.Errorf("is %s: want a duration, \"10s\" or \"200ms\"", kindOf(v))
			}
			s, err := r.text(v)
			if err != nil {
				return 0, err
			}
			if d, err = time.ParseDuration(s); err != nil {
				return 0, fmt.Errorf("%q: want a duration, \"10s\" or \"200ms\"", s)
			}
		}
		if d < low || d > high {
			return 0, fmt.Errorf("%v: want %v to %v", v, low, high)
		}
		return d, nil
	}
}

// secondsOf converts seconds to a duration, at most to the longest there is.
func secondsOf(s float64) time.Duration {
	if s*1e9 >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(s * 1e9)
}

// integer converts a whole number within bounds.
func integer[T int | uint32](low, high T) func(any) (T, error) {
	return func(v any) (T, error) {
		n, ok := v.(int64)
		if !ok {
			return 0, fmt.Errorf("is %s: want a whole number, %d to %d", kindOf(v), low, high)
		}
		if n < int64(low) || n > int64(high) {
			return 0, fmt.Errorf("%d: want %d to %d", n, low, high)
		}
		return T(n), nil
	}
}

func boolean(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("is %s: want true or false", kindOf(v))
	}
	return b, nil
}

// numbers converts a list of ascending numbers within bounds.
func numbers(low, high float64) func(any) ([]float64, error) {
	return func(v any) ([]float64, error) {
		list, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("is %s: want a list of numbers", kindOf(v))
		}
		got := make([]float64, len(list))
		for i, x := range list {
			switch x := x.(type) {
			case int64:
				got[i] = float64(x)
			case float64:
				got[i] = x
			default:
				return nil, fmt.Errorf("contains %s: want numbers", kindOf(x))
			}
			if !(got[i] >= low && got[i] <= high) {
				return nil, fmt.Errorf("%v: want %v to %v", got[i], low, high)
			}
			if i > 0 && got[i] <= got[i-1] {
				return nil, fmt.Errorf("%v after %v: want ascending numbers", got[i], got[i-1])
			}
		}
		return got, nil
	}
}

// texts converts a table of strings. It joins its errors.
func (r *reader) texts(v any) (map[string]string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("is %s: want a table of strings", kindOf(v))
	}
	got := make(map[string]string, len(m))
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s, err := r.text(m[k])
		if err != nil {
			errs = append(errs, &keyError{k, err})
		}
		got[k] = s
	}
	return got, errors.Join(errs...)
}

// kindOf returns TOML's name of the kind of v.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// nearest returns the known key that differs in the fewest letters, at most two.
// It returns "" if there is none.
func nearest(key string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(key, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the letters to change, add or drop (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func itoa(n int) string { return strconv.Itoa(n) }

func boolText(b bool) string { return strconv.FormatBool(b) }
