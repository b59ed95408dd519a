package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is the program under test with a source for each row.
type server struct {
	binary  string
	project string
	url     *url.URL
	process *exec.Cmd
}

func up(ctx context.Context, binary, dir, origin string, rows []*row) (*server, error) {
	s := &server{binary: binary, project: filepath.Join(dir, "project")}
	var text strings.Builder
	text.WriteString("name: clients\nlisten: 127.0.0.1:0\nload: {cycle: 500ms}\nsources:\n")
	for _, r := range rows {
		fmt.Fprintf(&text, "- {name: %s, keys: [%s], origins: [%q]}\n", r.name(), r.name(), origin)
	}
	if err := os.MkdirAll(s.project, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.project, "reedbed.yaml"), []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	s.process = exec.CommandContext(ctx, binary, "up", "-C", s.project)
	s.process.Cancel = func() error { return s.process.Process.Signal(os.Interrupt) }
	s.process.Stderr = os.Stderr
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	var at string
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "ready"; {
		if found, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			at = found
		}
	}
	if at == "" {
		return nil, errors.Join(errors.New("reedbed up does not listen"), s.stop())
	}
	s.url, err = url.Parse(at)
	return s, err
}

func (s *server) stop() error {
	_ = s.process.Process.Signal(os.Interrupt) // it may have ended
	return s.process.Wait()
}

// settle waits until all that the server acknowledged is loaded.
func (s *server) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		converged, err := s.converged(ctx)
		if err != nil || converged {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("the server did not load everything within a minute")
		}
	}
}

func (s *server) converged(ctx context.Context) (bool, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.JoinPath("/api/v1/status").String(), nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var status struct{ Converged bool }
	err = json.NewDecoder(answer.Body).Decode(&status)
	return status.Converged, err
}

// stored is what the server has of a row.
type stored struct {
	Source      string
	Rows        int
	Marks       int // distinct events
	Quarantined int
}

const count = `
WITH told AS (
    SELECT source, regexp_extract(concat(properties, ' ', extra), '[a-z0-9_]+#[0-9]+;') AS mark FROM raw
),
good AS (
    SELECT source, count(*) AS n, count(DISTINCT nullif(mark, '')) AS marks FROM told GROUP BY source
),
bad AS (
    SELECT source, count(*) AS n FROM quarantine GROUP BY source
)
SELECT coalesce(good.source, bad.source) AS source, coalesce(good.n, 0) AS rows, coalesce(good.marks, 0) AS marks,
    coalesce(bad.n, 0) AS quarantined
FROM good FULL JOIN bad ON good.source = bad.source`

func (s *server) count(ctx context.Context) (map[string]stored, error) {
	c := exec.CommandContext(ctx, s.binary, "sql", "-C", s.project, "--format", "ndjson", count)
	var errs bytes.Buffer
	c.Stderr = &errs
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("reedbed sql: %w\n%s", err, errs.Bytes())
	}
	out := map[string]stored{}
	for line := range bytes.Lines(text) {
		var r stored
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		out[r.Source] = r
	}
	return out, nil
}
