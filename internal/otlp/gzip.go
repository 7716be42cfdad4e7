package otlp

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// zippers are reused, because each is large.
var zippers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed) // as over gRPC
	if err != nil {
		panic("otlp: internal error: " + err.Error())
	}
	return z
}}

// compress compresses the body of r with gzip. The exporter's own compression takes
// three times as long, and sends no length, which some servers refuse.
func compress(r *http.Request) error {
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	packed := new(bytes.Buffer) // not reused: net/http may still read it after the answer has come
	z.Reset(packed)
	if _, err := io.Copy(z, r.Body); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(packed.Bytes())), int64(packed.Len())
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	r.Header.Set("Content-Encoding", "gzip")
	return nil
}
