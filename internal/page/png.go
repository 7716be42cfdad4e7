package page

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/history"
)

func figureText(n int) string { return strconv.Itoa(n) }

// The size of a picture, for one target.
const (
	pngWidth, pngHeight = 960, 300
	minSide, maxSide    = 160, 2400
)

// graph answers with the picture of the history of a target, or of several, one below
// the other.
func (p *Page) graph(w http.ResponseWriter, r *http.Request) {
	list, ok := strings.CutSuffix(r.PathValue("file"), ".png")
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	keys := strings.Split(list, ",")
	keys = keys[:min(len(keys), maxTargets)]
	width, err := side(q, "width", pngWidth)
	height, errHeight := side(q, "height", pngHeight)
	zone, errZone := time.UTC, error(nil)
	if name := q.Get("tz"); name != "" {
		zone, errZone = time.LoadLocation(name)
	}
	for _, err := range []error{err, errHeight, errZone} {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	look := light
	if q.Get("theme") == "dark" {
		look = dark
	}
	img := image.NewRGBA(image.Rect(0, 0, width, height*len(keys)))
	for i, key := range keys {
		v, status, err := p.requested(r, key)
		if err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		c := &picture{RGBA: img.SubImage(image.Rect(0, i*height, width, (i+1)*height)).(*image.RGBA), look: look, zone: zone}
		c.draw(v)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(b.Bytes()) //nolint:errcheck // the client has left
}

func side(q url.Values, name string, otherwise int) (int, error) {
	s := q.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < minSide || n > maxSide {
		return 0, fmt.Errorf("%s: want pixels, %d to %d", name, minSide, maxSide)
	}
	return n, nil
}

// look is a set of colours: those of page.css.
type look struct {
	background, text, dim, line, smoke color.RGBA
	loss                               [7]color.RGBA
	name, unsent, none                 color.RGBA
}

func rgb(v uint32) color.RGBA {
	return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
}

func colours(list ...uint32) (c [7]color.RGBA) {
	for i, v := range list {
		c[i] = rgb(v)
	}
	return c
}

var (
	light = look{
		rgb(0xffffff), rgb(0x16191d), rgb(0x5a626c), rgb(0xd9dde2), rgb(0x282e38),
		colours(0x12a67c, 0x4db4ec, 0x1577c9, 0x5b49c8, 0x9b33b5, 0xd1308a, 0xc3121f), rgb(0x8a6d00), rgb(0xb85c00), rgb(0x8d959f),
	}
	dark = look{
		rgb(0x171b21), rgb(0xe6e9ed), rgb(0x9aa4af), rgb(0x2c333c), rgb(0xd6dee8),
		colours(0x18b98b, 0x5cc3fa, 0x3c8fee, 0x8b79f2, 0xc062dc, 0xf05fae, 0xff4a4a), rgb(0xd9b432), rgb(0xf09a3e), rgb(0x6c757f),
	}
)

// lossSteps are the upper bounds of the colours of loss, as in page.js.
var lossSteps = [7]float64{0, .05, .1, .2, .5, .9999999, 1}

func lossStep(loss float64) int {
	for i, most := range lossSteps {
		if loss <= most {
			return i
		}
	}
	return len(lossSteps) - 1
}

// picture is one graph.
type picture struct {
	*image.RGBA
	look look
	zone *time.Location
	plot image.Rectangle // the inside of the axes
	v    *view
	top  float64 // of the plot, in seconds
}

func (c *picture) draw(v *view) {
	b := c.Bounds()
	c.v = v
	c.plot = image.Rect(b.Min.X+74, b.Min.Y+34, b.Max.X-16, b.Max.Y-62)
	c.fill(b, c.look.background, 1)
	title := v.id.Host
	if tags := labels(&v.id); len(tags) > 0 {
		title += "   " + strings.Join(tags, "  ")
	}
	c.text(b.Min.X+12, b.Min.Y+22, title, c.look.text, bold, left)
	c.scale()
	c.grid()
	for i := 0; i < len(v.states); {
		next := i + 1
		for next < len(v.states) && v.states[next] == v.states[i] {
			next++
		}
		if v.states[i] != measured {
			c.gap(i, next)
		}
		i = next
	}
	for i := range v.columns {
		if v.states[i] == measured {
			c.column(i)
		}
	}
	for i := range v.changes {
		c.change(&v.changes[i])
	}
	c.captions()
}

// scale chooses the top of the plot, as page.js does.
func (c *picture) scale() {
	var tops []float64
	most := 0.0
	for i := range c.v.columns {
		if p := c.v.columns[i].RTTs.Percentiles(90, 100); p != nil {
			tops = append(tops, p[0])
			most = math.Max(most, p[1])
		}
	}
	c.top = topOf(tops, most) * 1.05
}

func (c *picture) x(at int64) int {
	return c.plot.Min.X + int(math.Round(float64(at-c.v.from)/float64(c.v.to-c.v.from)*float64(c.plot.Dx())))
}

func (c *picture) y(seconds float64) int {
	return c.plot.Max.Y - int(math.Round(seconds/c.top*float64(c.plot.Dy())))
}

// grid draws the axes.
func (c *picture) grid() {
	step := niceStep(c.top * 1e3 / (float64(c.plot.Dy()) / 44))
	for ms := 0.0; ms <= c.top*1e3; ms += step {
		y := c.y(ms / 1e3)
		c.fill(image.Rect(c.plot.Min.X, y, c.plot.Max.X, y+1), c.look.line, 1)
		c.text(c.plot.Min.X-6, y+4, strconv.FormatFloat(ms, 'g', 4, 64)+" ms", c.look.dim, small, right)
	}
	every, form := timeStep(float64(c.v.to-c.v.from) / (float64(c.plot.Dx()) / 90))
	_, offset := time.Unix(c.v.from, 0).In(c.zone).Zone()
	for at := c.v.from - (c.v.from+int64(offset))%every; at < c.v.to; at += every {
		if at < c.v.from {
			continue
		}
		x := c.x(at)
		c.fill(image.Rect(x, c.plot.Min.Y, x+1, c.plot.Max.Y), c.look.line, 1)
		c.text(x, c.plot.Max.Y+16, time.Unix(at, 0).In(c.zone).Format(form), c.look.dim, small, centre)
	}
}

// gap draws columns without replies: each state has a pattern and its name.
func (c *picture) gap(from, to int) {
	r := image.Rect(c.x(c.v.from+int64(from)*c.v.step), c.plot.Min.Y, c.x(c.v.from+int64(to)*c.v.step), c.plot.Max.Y)
	r.Max.X = max(r.Max.X, r.Min.X+1)
	state := c.v.states[from]
	switch state {
	case down:
		c.fill(r, c.look.loss[6], .28)
		c.fill(image.Rect(r.Min.X, r.Max.Y-5, r.Max.X, r.Max.Y), c.look.loss[6], 1)
	case noName:
		c.pattern(r, c.look.name, func(x, y int) bool { return x%7 < 2 && y%7 < 2 })
	case noLookup:
		c.pattern(r, c.look.name, func(x, y int) bool { return (x-y)%9 == 0 })
	case notSent:
		c.pattern(r, c.look.unsent, func(_, y int) bool { return y%7 == 0 })
	case away:
		c.pattern(r, c.look.none, func(x, y int) bool { return (x+y)%7 == 0 })
	case noData:
		c.fill(image.Rect(r.Min.X, r.Max.Y-1, r.Max.X, r.Max.Y), c.look.none, 1)
	}
	name := map[string]string{down: "100 % loss", away: "prober away"}[state]
	if name == "" {
		name = strings.ReplaceAll(state, "_", " ")
	}
	if wide := textWidth(name, small) + 10; r.Dx() > wide {
		middle := (r.Min.X + r.Max.X) / 2
		y := (r.Min.Y + r.Max.Y) / 2
		c.fill(image.Rect(middle-wide/2, y-9, middle+wide/2, y+9), c.look.background, 1)
		c.text(middle, y+4, name, c.look.text, small, centre)
	}
}

func (c *picture) pattern(r image.Rectangle, colour color.RGBA, on func(x, y int) bool) {
	c.fill(r, colour, .12)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if on(x, y) {
				c.fill(image.Rect(x, y, x+1, y+1), colour, .7)
			}
		}
	}
}

// column draws the smoke and the median of one column.
func (c *picture) column(i int) {
	s := &c.v.columns[i]
	q := s.RTTs.Percentiles(smoke...)
	x0 := c.x(c.v.from + int64(i)*c.v.step)
	x1 := max(c.x(c.v.from+int64(i+1)*c.v.step), x0+1)
	half := len(q) / 2
	clipped := func(y int) int { return max(y, c.plot.Min.Y) }
	for k := range half {
		c.fill(image.Rect(x0, clipped(c.y(q[len(q)-1-k])), x1, clipped(c.y(q[k]))), c.look.smoke, .09+.055*float64(k))
	}
	loss, _ := s.Loss()
	step := lossStep(loss)
	if step > 0 {
		if step > 1 {
			c.fill(image.Rect(x0, c.plot.Min.Y, x1, c.plot.Max.Y), c.look.loss[step], .16)
		}
		c.fill(image.Rect(x0, c.plot.Max.Y-5, x1, c.plot.Max.Y), c.look.loss[step], 1)
	}
	if y := c.y(q[half]); y >= c.plot.Min.Y {
		c.fill(image.Rect(x0, y-1, x1, y+2), c.look.loss[step], 1)
	}
}

// change marks a change of the path: a dashed line at the trace that saw the new one, and
// a bar on top from the trace that last saw the old one.
func (c *picture) change(p *history.PathChange) {
	x, top := c.x(p.At), c.plot.Min.Y
	for y := top; y < c.plot.Max.Y; y += 7 {
		c.fill(image.Rect(x, y, x+1, min(y+4, c.plot.Max.Y)).Intersect(c.plot), c.look.text, .9)
	}
	for i := range 6 {
		c.fill(image.Rect(x-5+i, top+i, x+6-i, top+i+1), c.look.text, 1)
	}
	if p.Since < p.At {
		c.fill(image.Rect(c.x(max(p.Since, c.v.from)), top, x, top+2), c.look.text, .55)
	}
}

// captions writes the figures of the whole window, its time, and what the colours
// mean.
func (c *picture) captions() {
	b, t := c.Bounds(), &c.v.total
	ms := func(s float64) string { return strconv.FormatFloat(s*1e3, 'g', 4, 64) + " ms" }
	parts := []string{"nothing sent"}
	if loss, ok := t.Loss(); ok {
		parts[0] = fmt.Sprintf("loss %.3g %% of %d", loss*100, t.Counts[history.Sent])
	}
	if p := t.RTTs.Percentiles(0, 50, 95, 99, 100); p != nil {
		parts = append(parts, "min "+ms(p[0]), "median "+ms(p[1]), "p95 "+ms(p[2]), "p99 "+ms(p[3]), "max "+ms(p[4]))
	}
	if j, ok := t.Jitter(); ok {
		parts = append(parts, "jitter "+ms(j))
	}
	if n := len(c.v.changes) + c.v.older; n > 0 {
		parts = append(parts, fmt.Sprintf("path changes %d", n))
	}
	c.text(b.Min.X+12, b.Max.Y-28, strings.Join(parts, "   "), c.look.text, small, left)
	when := func(at int64) string { return time.Unix(at, 0).In(c.zone).Format("2 Jan 2006 15:04:05") }
	zone, _ := time.Unix(c.v.to, 0).In(c.zone).Zone()
	c.text(b.Min.X+12, b.Max.Y-11, when(c.v.from)+" to "+when(c.v.to)+" "+zone, c.look.dim, small, left)
	x := b.Max.X - 16
	names := []string{"0 %", "5", "10", "20", "50", "<100", "100 %"}
	for i := len(names) - 1; i >= 0; i-- {
		x -= textWidth(names[i], small)
		c.text(x, b.Max.Y-11, names[i], c.look.dim, small, left)
		x -= 15
		c.fill(image.Rect(x, b.Max.Y-20, x+11, b.Max.Y-10), c.look.loss[i], 1)
		x -= 7
	}
	c.text(x, b.Max.Y-11, "loss", c.look.dim, small, right)
}
