package protocol

import (
	"strings"

	"github.com/reedbed/reedbed/internal/strictjson"
)

// readPlausible reads an event of Plausible's API, by its documented names and
// by those its scripts use. It has no id: see Observed.Visitor.
func readPlausible(d *Decoder, members []strictjson.Member) {
	e := &d.env
	var url, referrer []byte
	for i := range members {
		m := &members[i]
		switch string(m.Key) {
		case "n", "name":
			d.required(&e.Name, m, CodeBadName)
		case "u", "url":
			url = m.Value
		case "r", "referrer":
			referrer = m.Value
		case "d", "domain":
			d.domain(m)
		case "p", "props", "m", "meta":
			d.plausibleProps(m)
		default:
			d.other(m)
		}
	}
	e.Type = "track"
	if e.Name == "pageview" {
		e.Type = "page"
	}
	e.AnonymousID = d.shared.observed.visitor
	if d.verdictOnly {
		return
	}
	var page, context pairs
	page.add("url", url)
	page.add("referrer", referrer)
	context.add("page", d.as(page))
	e.Context = d.as(context)
}

// domain takes the site for the write key: of several, the first.
func (d *Decoder) domain(m *strictjson.Member) {
	if m.Kind == strictjson.String {
		d.key, _, _ = strings.Cut(d.text(m), ",")
	}
	d.other(m)
}

// plausibleProps reads properties, which some scripts send as JSON in a string.
func (d *Decoder) plausibleProps(m *strictjson.Member) {
	if m.Kind != strictjson.String {
		d.object(&d.env.Properties, m)
		return
	}
	_, object, why := d.embedded(m, false, d.followed, strictjson.Object)
	if why != "" {
		d.badEmbedded(m, why)
		return
	}
	d.env.Properties = object
}
