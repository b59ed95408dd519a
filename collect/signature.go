package collect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reedbed/reedbed/collect/protocol"
)

// signed judges the signature of a request to a source that wants one, as
// Standard Webhooks says
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
// over id, time and the body as it was sent. Only where all of an event is in
// the body does that say who sent it, and that is the native endpoint.
//
// A request that is repeated within the window is taken again. Its events are
// those of the first, and loading drops them.
func (x *exchange) signed(r *http.Request, window time.Duration) *problem {
	if len(x.source.SigningKeys) == 0 {
		return nil
	}
	id, at, signatures := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), r.Header.Get("Webhook-Signature")
	if x.route.entry.name != protocol.Native || id == "" || at == "" || signatures == "" {
		return &notSigned
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || x.start.Sub(time.Unix(seconds, 0)).Abs() > window {
		return &staleSignature
	}
	for _, key := range x.source.SigningKeys {
		if signs(signatures, signature(key, id, at, x.wire)) {
			return nil
		}
	}
	return &wrongSignature
}

func signature(key []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// signs says whether the wanted signature is one of a list: a sender that
// changes its secret may sign with both.
func signs(list string, want []byte) bool {
	for one := range strings.FieldsSeq(list) {
		version, encoded, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(given, want) {
			return true
		}
	}
	return false
}

var (
	notSigned = problem{
		status: http.StatusUnauthorized, outcome: outcomeUnauthorized, Code: "no_signature",
		Message: "this source takes signed requests only, and only /v1/events can be signed; nothing was stored",
		Where:   "webhook-id, webhook-timestamp, webhook-signature",
		Fix:     "sign the body as Standard Webhooks says, with a secret listed under the source's signing in reedbed.yaml",
	}
	staleSignature = problem{
		status: http.StatusUnauthorized, outcome: outcomeUnauthorized, Code: "stale_signature",
		Message: "the signature's time is not now; nothing was stored", Where: "webhook-timestamp",
		Fix: "write the seconds since 1970 and sign each attempt anew; set the sender's clock right, or raise limits.signature_window in reedbed.yaml",
	}
	wrongSignature = problem{
		status: http.StatusUnauthorized, outcome: outcomeUnauthorized, Code: "wrong_signature",
		Message: "the signature is not of this body by a secret of this source; nothing was stored", Where: "webhook-signature",
		Fix: "sign id.timestamp.body, the body byte for byte as sent (compressed, if it is), with a secret listed under the source's signing in reedbed.yaml",
	}
)
