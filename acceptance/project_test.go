package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// reedbed is the program under test, built before the first test.
var reedbed string

func TestMain(m *testing.M) { goleak.VerifyTestMain(built{m}) }

// built runs the tests once the program is built.
type built struct{ m *testing.M }

func (b built) Run() int {
	dir, err := os.MkdirTemp("", "reedbed-acceptance-")
	if err == nil {
		defer os.RemoveAll(dir)
		reedbed = filepath.Join(dir, "reedbed")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", reedbed, "../cmd/reedbed").CombinedOutput(); err == nil {
			return b.m.Run()
		}
		err = fmt.Errorf("%w\n%s", err, out)
	}
	fmt.Fprintln(os.Stderr, "build reedbed:", err)
	return 1
}

// readSources looks at every file of the module, so that `go test` knows what a
// result it keeps depends on: the program is not linked into the test.
func readSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) { // what others write meanwhile comes and goes
		t.Fatal(err)
	}
}

// project is a project folder with the settings that tests override.
type project struct {
	dir string
	env []string
}

// newProject makes a project from a template. Settings are NAME=value, as the
// environment has them.
func newProject(t *testing.T, template string, settings ...string) project {
	t.Helper()
	readSources(t)
	p := project{filepath.Join(t.TempDir(), "project"), append(os.Environ(), settings...)}
	p.must(t, "init", p.dir, "--template", template)
	return p
}

// command is the program with the project's settings.
func (p project) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, reedbed, args...)
	c.Env = p.env
	return c
}

// run runs a command to its end.
func (p project) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk bytes.Buffer
	c := p.command(t.Context(), args...)
	c.Stdout, c.Stderr = &out, &talk
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("reedbed %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), talk.String(), code
}

// must runs a command that has to succeed and returns what it answers.
func (p project) must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := p.run(t, args...)
	if code != 0 {
		t.Fatalf("reedbed %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// answer is the one value that `reedbed sql` answers.
func (p project) answer(t *testing.T, sql string) string {
	t.Helper()
	out := p.must(t, "sql", "-C", p.dir, "--format", "csv", sql)
	lines := strings.Split(strings.TrimSpace(out), "\n") // the header, then the value
	return strings.TrimSpace(lines[len(lines)-1])
}

// count is the one number that `reedbed sql` answers.
func (p project) count(t *testing.T, sql string) int {
	t.Helper()
	n, err := strconv.Atoi(p.answer(t, sql))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// shared is a path among the recorded real data, which is not in the
// repository.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	dir := os.Getenv("REEDBED_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	full := filepath.Join(append([]string{dir, "data"}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("needs the shared data (set REEDBED_SHARED): %v", err)
	}
	return full
}

// random is the source of a test's random moments. It prints its seed.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("REEDBED_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("REEDBED_SEED: %v", err)
		}
	}
	t.Logf("REEDBED_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// eventually calls ok until it returns nil, and fails with its last error when
// it does not in time.
func eventually(t *testing.T, limit time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}

// pause waits for d, or until ctx ends. Nothing is ever true because of it.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// sized is the size of a test: the smaller one with -short.
func sized[N any](whole, short N) N {
	if testing.Short() {
		return short
	}
	return whole
}
