package collect

import (
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestSourcesThatCannotBe(t *testing.T) {
	tests := map[string]struct {
		list []Source
		want []string
	}{
		"no name":      {[]Source{{}}, []string{"name"}},
		"named twice":  {[]Source{{Name: "a"}, {Name: "a"}}, []string{"named twice"}},
		"shared key":   {[]Source{{Name: "a", Keys: []string{"k"}}, {Name: "b", Keys: []string{"k"}}}, []string{`"b"`, `"a"`}},
		"empty key":    {[]Source{{Name: "a", Keys: []string{""}}}, []string{"keys"}},
		"colon in key": {[]Source{{Name: "a", Keys: []string{"a:b"}}}, []string{"keys"}},
		"null origin":  {[]Source{{Name: "a", Origins: []string{"null"}}}, []string{"origins", "null"}},
		"path":         {[]Source{{Name: "a", Origins: []string{"https://a.test/"}}}, []string{"origins"}},
		"bare host":    {[]Source{{Name: "a", Origins: []string{"a.test"}}}, []string{"origins"}},
		"upper case":   {[]Source{{Name: "a", Origins: []string{"https://A.test"}}}, []string{"origins"}},
		"all at once":  {[]Source{{Name: "a", Rate: -1, Share: 2}, {Name: "b", ClientIP: "some"}}, []string{"rate", "share", `"some"`}},
	}
	for name, tt := range tests {
		d, _ := newDoor(t, Options{})
		err := d.SetSources(tt.list)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not name %q", name, err, w)
			}
		}
		if strings.Contains(err.Error(), `"k"`) {
			t.Errorf("%s: a write key is in an error", name)
		}
		if w := (call{path: "/v1/events?key=demo", body: one}).do(d); w.Code != 200 {
			t.Errorf("%s: the old sources are gone", name)
		}
	}
}

func TestSetSourcesUnderLoad(t *testing.T) {
	d, m := newDoor(t, Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if w := (call{path: "/v1/events?key=demo", body: one}).do(d); w.Code != 200 {
					t.Errorf("%d", w.Code)
				}
			}
		})
	}
	for i := range 50 {
		list := testSources()
		list[0].Rate = float64(i % 2 * 1_000_000)
		if err := d.SetSources(list); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if ok, _ := m.counts(); ok != 800 {
		t.Errorf("%d", ok)
	}
	if err := d.SetSources(testSources()[1:]); err != nil {
		t.Fatal(err)
	}
	if w := (call{path: "/v1/events?key=demo", body: one}).do(d); w.Code != 401 {
		t.Errorf("a removed source's key: %d", w.Code)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	d, _ := newDoor(t, Options{Registry: reg})
	call{path: "/v1/events?key=demo", body: "[" + one + "," + bad + "]"}.do(d)
	call{path: "/v1/t?key=nope", body: one}.do(d)
	call{path: "/v1/events", body: "[]"}.do(d)
	got := gather(t, reg)
	for name, want := range map[string]float64{
		"reedbed_collect_requests_total answer=ok protocol=native source=web":         1,
		"reedbed_collect_requests_total answer=unauthorized protocol=segment source=": 1,
		"reedbed_collect_requests_total answer=unauthorized protocol=native source=":  1,
		"reedbed_collect_events_total protocol=native source=web verdict=ok":          1,
		"reedbed_collect_events_total protocol=native source=web verdict=quarantined": 1,
		"reedbed_collect_bytes_total form=wire protocol=native source=web":            float64(len(one) + len(bad) + 3),
		"reedbed_collect_in_flight_requests":                                          0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (%v), want %v", name, v, ok, want)
		}
	}
	if _, err := New(Options{Journal: new(memory), Log: d.log, Registry: reg}); err == nil {
		t.Error("two doors in one registry")
	}
}

func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
		for _, m := range f.GetMetric() {
			var name strings.Builder
			name.WriteString(f.GetName())
			for _, l := range m.GetLabel() {
				name.WriteString(" " + l.GetName() + "=" + l.GetValue())
			}
			got[name.String()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}
