package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The guide lists every setting with the default the code has.
func TestGuideIsTrue(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{config: Default()}
	for path, v := range d.scalars() {
		row := fmt.Sprintf("| `%s` | ", path)
		if text := defaultText(v); text != "" {
			row += "`" + text + "` |"
		}
		if !strings.Contains(string(guide), row) {
			t.Errorf("no row starts with %s", row)
		}
	}
	for _, entry := range []reflect.Type{reflect.TypeFor[Source](), reflect.TypeFor[Webhook]()} {
		for _, key := range keysOf(entry) {
			if !strings.Contains(string(guide), fmt.Sprintf("| `%s` | ", key)) {
				t.Errorf("nothing about %s of a %s", key, strings.ToLower(entry.Name()))
			}
		}
	}
}

func defaultText(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(value)
	case fmt.Stringer:
		return value.String()
	}
	if v.IsZero() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}
