package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The whole program, run as people run it: another process, its commands, HTTP.

// program builds reedbed once, unless a flag named one.
func (b *bench) program() (string, error) {
	if b.reedbed != "" {
		return b.reedbed, nil
	}
	path := filepath.Join(b.dir, "reedbed")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/reedbed/reedbed/cmd/reedbed").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build reedbed: %w\n%s", err, out)
	}
	b.reedbed = path
	return path, nil
}

// init makes a project from a template.
func (b *bench) init(name, template string) (dir string, err error) {
	program, err := b.program()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(b.dir, name)
	if out, err := exec.Command(program, "init", dir, "--template", template).CombinedOutput(); err != nil {
		return "", fmt.Errorf("reedbed init: %w\n%s", err, out)
	}
	return dir, nil
}

// running is a project at work.
type running struct {
	*part
	url    string
	client *http.Client
}

// up starts a project and returns as soon as it says where it listens.
func (b *bench) up(dir string) (*running, error) {
	p, err := startProgram(b.reedbed, "up", "-C", dir, "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	for {
		line, err := p.line()
		if err != nil {
			return nil, err
		}
		if url, ok := strings.CutPrefix(line, "listening on "); ok {
			return &running{part: p, url: url, client: &http.Client{
				Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			}}, nil
		}
	}
}

// ready waits until the stages are deployed.
func (r *running) ready() error {
	for {
		if line, err := r.line(); err != nil || line == "ready" {
			return err
		}
	}
}

// interrupt stops the program in good order.
func (r *running) interrupt() error {
	return errors.Join(r.cmd.Process.Signal(syscall.SIGTERM), r.stop())
}

func (r *running) do(method, path string, header map[string]string, body []byte) ([]byte, error) {
	q, err := http.NewRequest(method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range header {
		q.Header.Set(name, value)
	}
	q.SetBasicAuth("demo", "")
	answer, err := r.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %.300s", path, answer.StatusCode, text)
	}
	return text, err
}

// count asks for one number.
func (r *running) count(sql string) (int64, error) {
	text, err := r.do(http.MethodPost, "/api/v1/sql?format=csv", map[string]string{"Content-Type": "text/plain"}, []byte(sql))
	if err != nil {
		return 0, err
	}
	_, value, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
}

// state is what matters here of a project's status.
type state struct {
	Converged bool
	Journal   struct{ End, Loaded int64 }
	Datasets  []struct {
		Stale, Running int
	}
}

func (r *running) state() (s state, err error) {
	text, err := r.do(http.MethodGet, "/api/v1/status", nil, nil)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// behind is how many events wait to be loaded, and how many partitions to be
// computed.
func (s state) behind() (events, partitions int64) {
	for _, d := range s.Datasets {
		partitions += int64(d.Stale + d.Running)
	}
	return s.Journal.End - s.Journal.Loaded, partitions
}

// forget removes what a project's journal can be loaded into again.
func forget(dir string) error {
	data := filepath.Join(dir, ".reedbed")
	entries, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "journal" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(data, e.Name())))
		}
	}
	return err
}
