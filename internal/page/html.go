package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"

	"github.com/pingtel/pingtel/internal/history"
)

//go:embed assets/*.html assets/*.js assets/*.css assets/uplot.LICENSE
var files embed.FS

var templates = template.Must(template.ParseFS(files, "assets/*.html"))

// policy lets a page load its own scripts, styles, pictures and figures, and nothing
// else: a name or tag that is taken for HTML after all can do nothing.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// served is an asset.
type served struct {
	kind string
	body []byte
	etag string
}

var assets = func() map[string]served {
	all := make(map[string]served)
	for name, kind := range map[string]string{
		"page.js": "text/javascript", "page.css": "text/css", "uplot.js": "text/javascript", "uplot.css": "text/css", "uplot.LICENSE": "text/plain",
	} {
		body, err := files.ReadFile("assets/" + name)
		if err != nil { // it is embedded
			panic(err)
		}
		sum := sha256.Sum256(body)
		all[name] = served{kind + "; charset=utf-8", body, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return all
}()

func asset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Cache-Control", "no-cache") // ask whether it has changed
	if r.Header.Get("If-None-Match") == a.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Write(a.body) //nolint:errcheck // the client has left
}

// show sends a page.
func (p *Page) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	w.Write(b.Bytes()) //nolint:errcheck // the client has left
}

// shown is what the templates show.
type shown struct {
	Title   string
	Version string
	History string
	Targets []shownTarget
	Error   string
}

type shownTarget struct {
	Key  string
	Host string
	Tags []string
}

func (p *Page) index(w http.ResponseWriter, _ *http.Request) {
	p.show(w, http.StatusOK, "index.html", shown{Title: "pingtel", Version: p.version, History: p.history.String()})
}

// maxTargets is how many targets one page shows.
const maxTargets = 12

// target shows the graphs of one target or of several, with commas between.
func (p *Page) target(w http.ResponseWriter, r *http.Request) {
	data := shown{Version: p.version, History: p.history.String()}
	var names []string
	keys := strings.Split(r.PathValue("keys"), ",")
	for _, key := range keys[:min(len(keys), maxTargets)] {
		k, err := history.ParseKey(key)
		id, ok := history.ID{}, false
		if err == nil {
			id, ok = p.history.Lookup(k)
		}
		if !ok {
			data.Title, data.Error = "No such target - pingtel", "No target has the key "+key+", now or in the history."
			data.Targets = nil
			p.show(w, http.StatusNotFound, "target.html", data)
			return
		}
		names = append(names, id.Host)
		data.Targets = append(data.Targets, shownTarget{key, id.Host, labels(&id)})
	}
	data.Title = strings.Join(names, ", ") + " - pingtel"
	p.show(w, http.StatusOK, "target.html", data)
}

// labels returns what tells targets of the same host apart, for a person.
func labels(id *history.ID) []string {
	t := targetOf(history.Key{}, id)
	var list []string
	for _, tag := range id.Tags {
		list = append(list, tag.Key+"="+tag.Value)
	}
	if t.Family != "" {
		list = append(list, t.Family)
	}
	if t.DSCP != 0 {
		list = append(list, "DSCP "+figureText(t.DSCP))
	}
	return list
}
