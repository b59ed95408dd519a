package anomaly

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestHoursAreKept(t *testing.T) {
	h := (&world{seed: 1, release: 9}).hour(monday)
	h.Unwatched.Fields = 3
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeHour(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(h, got, cmpopts.IgnoreFields(Observation{}, "ByVersion"), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func FuzzDecodeHour(f *testing.F) {
	data, err := (&world{seed: 1, release: 9}).hour(monday).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHour(data)
		if err != nil {
			return
		}
		again, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeHour(again); err != nil {
			t.Error(err)
		}
		Judge(h, []Hour{h}, nil)
	})
}
