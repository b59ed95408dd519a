package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

// largest is what a page pays for the tracker at most, in bytes of gzip.
const largest = 3072

func TestScriptsAreCurrent(t *testing.T) {
	files, err := bundle("..")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "dist", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what src makes (%v); run go generate ./tracker/js", name, err)
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		_, _ = z.Write(want)
		_ = z.Close()
		t.Logf("dist/%s: %d bytes, %d gzip", name, len(want), packed.Len())
		if packed.Len() > largest {
			t.Errorf("dist/%s has %d bytes gzip; at most %d", name, packed.Len(), largest)
		}
	}
}
