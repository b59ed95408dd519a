package config

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Secret is text that must not reach a log, a page or an error. Convert it to
// string where it is compared or sent, and nowhere else.
type Secret string

const mask = "***"

// String hides the text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format hides the text from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText hides the text from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SigningKey is the key that a secret for signing stands for, in the form of
// Standard Webhooks; ok is false if it is not in that form.
func (s Secret) SigningKey() (key []byte, ok bool) {
	text, ok := strings.CutPrefix(string(s), "whsec_")
	if !ok {
		return nil, false
	}
	key, err := base64.StdEncoding.DecodeString(text)
	return key, err == nil && len(key) >= 24 && len(key) <= 64
}
