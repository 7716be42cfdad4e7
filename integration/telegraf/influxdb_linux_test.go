package telegraf

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestInfluxDB sends the figures from pingtel through Telegraf to InfluxDB, and reads
// them back with a query.
func TestInfluxDB(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	influxd := peer.InfluxDB(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		db := peer.StartInfluxDB(t, influxd)
		output, err := os.ReadFile("influxdb.conf")
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, "execd.conf", pingtelFile(t, "none", everyHost...), "[[inputs.execd]]", string(output)+"[[inputs.execd]]")
		r.awaitPoints(t, 3, everyHost...)
		r.Stop()
		told := query(t, `SELECT sum(packets_transmitted), sum(packets_received) FROM ping WHERE site = 'lab'`)
		points := r.points(t)
		if want := float64(len(n.Arrived())); told[0][1] != want || float64(sent(points)) != want {
			t.Errorf("the database says that %v requests were sent, the file %v, the network saw %v", told[0][1], sent(points), want)
		}
		rows := query(t, `SELECT percent_packet_loss, result_code, minimum_response_ms FROM ping WHERE url = '`+losesSome+`'`)
		if got := len(of(points, losesSome)); len(rows) != got {
			t.Errorf("%d points in the database, %d in the file", len(rows), got)
		}
		for _, row := range rows {
			if low, ok := row[3].(float64); row[1] != 20.0 || row[2] != 0.0 || !ok || low < 5 {
				t.Errorf("point %v, want 20 %% loss, result 0, 5 ms", row)
			}
		}
		db.Stop()
	})
}

// query returns the rows of the first series, the time in front.
func query(t *testing.T, q string) [][]any {
	t.Helper()
	resp, err := http.Get(peer.InfluxURL + "/query?" + url.Values{"db": {"telegraf"}, "q": {q}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]any }
		}
	}
	if err := errors.Join(json.NewDecoder(resp.Body).Decode(&got), resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if len(got.Results) != 1 || got.Results[0].Error != "" || len(got.Results[0].Series) != 1 {
		t.Fatalf("%s: %+v", strings.TrimSpace(q), got)
	}
	return got.Results[0].Series[0].Values
}
