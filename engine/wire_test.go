package engine_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reedbed/reedbed/engine"
)

func TestMessages(t *testing.T) {
	want := engine.Request{
		Kind: engine.KindBuild, SQL: "SELECT 'é\u2028'", Tables: []engine.Table{{Name: "t", Files: []string{"0-0.parquet"}}},
		Equal: map[string]int{"*": 3}, Limits: engine.Limits{Wall: 1, Memory: 2},
	}
	var wire bytes.Buffer
	for range 2 {
		if err := engine.WriteMessage(&wire, want); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		var got engine.Request
		if err := engine.ReadMessage(&wire, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	var got engine.Request
	if err := engine.ReadMessage(&wire, &got); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message: %v", err)
	}
}

func TestMessageTooLong(t *testing.T) {
	if err := engine.WriteMessage(io.Discard, engine.Request{SQL: strings.Repeat("x", 33<<20)}); err == nil {
		t.Error("a message without bound was written")
	}
	var v any
	if err := engine.ReadMessage(strings.NewReader("\xff\xff\xff\xff"), &v); err == nil || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("a message without bound: %v", err)
	}
}

func TestFailuresCrossTheWire(t *testing.T) {
	for _, want := range []error{
		&engine.SQLError{Line: 1, Column: 2, Message: "m", Hint: "h"}, engine.ErrNotSelect, engine.ErrLimit, errors.New("other"),
	} {
		got := engine.NewFailure(want).Err()
		if got.Error() != want.Error() {
			t.Errorf("%v became %v", want, got)
		}
		if wantSQL, ok := errors.AsType[*engine.SQLError](want); ok {
			gotSQL, _ := errors.AsType[*engine.SQLError](got)
			if diff := cmp.Diff(wantSQL, gotSQL); diff != "" {
				t.Error(diff)
			}
		}
		for _, kind := range []error{engine.ErrNotSelect, engine.ErrLimit} {
			if errors.Is(want, kind) != errors.Is(got, kind) {
				t.Errorf("%v became another kind of error", want)
			}
		}
	}
}

// Whatever a worker sends, reading it ends and allocates no more than was sent.
func FuzzReadMessage(f *testing.F) {
	var wire bytes.Buffer
	if err := engine.WriteMessage(&wire, engine.Reply{Rows: 3}); err != nil {
		f.Fatal(err)
	}
	f.Add(wire.Bytes())
	f.Add([]byte("\x00\x00\x00\x02{"))
	f.Add([]byte("\x01\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var reply engine.Reply
		if err := engine.ReadMessage(bytes.NewReader(b), &reply); err != nil {
			return
		}
		var again bytes.Buffer
		if err := engine.WriteMessage(&again, reply); err != nil {
			t.Error(err)
		}
	})
}
