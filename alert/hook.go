package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Hook is one address that is told of alerts.
type Hook struct {
	URL string // may itself be a secret: it is never shown, but for its host
	Key []byte // what messages are signed with
	// AllowPrivate lets it be an address of this machine or of a private network,
	// and plain http.
	AllowPrivate bool
	Owners       []string // whose alerts it is told; empty: everybody's
}

// Name identifies a hook without telling its address: the host, and some of the
// address's hash.
func (h Hook) Name() string {
	sum := sha256.Sum256([]byte(h.URL))
	host := "?"
	if u, err := url.Parse(h.URL); err == nil {
		host = u.Hostname()
	}
	return host + "#" + hex.EncodeToString(sum[:4])
}

// tryTime bounds one try, from the look-up of the name to the answer's header.
const tryTime = 5 * time.Second

// client posts to one hook. Environment and redirects lead it nowhere else.
func (h Hook) client(resolver *net.Resolver) *http.Client {
	dialer := &net.Dialer{Resolver: resolver}
	if !h.AllowPrivate {
		dialer.ControlContext = refusePrivate
	}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a body once, as Standard Webhooks says
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
// The error does not tell the address.
func (h Hook) post(ctx context.Context, client *http.Client, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is none")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("User-Agent", "reedbed")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", at)
	r.Header.Set("Webhook-Signature", sign(h.Key, id, at, body))
	answer, err := client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %s", tryTime)
		}
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // what is around it tells the address
		}
		return err
	}
	_ = answer.Body.Close() // the status is the answer
	switch answer.StatusCode / 100 {
	case 2:
		return nil
	case 3:
		return fmt.Errorf("it answered %s: redirects are not followed", answer.Status)
	default:
		return fmt.Errorf("it answered %s", answer.Status)
	}
}

// sign is the value of webhook-signature.
func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
