package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Bounds of what is said of one event.
const (
	maxErrors = 10
	maxError  = 300  // bytes
	maxReason = 2000 // bytes
)

// words says what is wrong: each error with the place it is at, a JSON pointer.
// Values of the event are not among the words, so that events with the same
// mistake have the same reason and no reason tells what somebody sent. The order
// is that of the words: the library goes through members as they come.
func words(err error) string {
	if err == nil {
		return ""
	}
	failed, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err.Error()
	}
	list := leaves(failed)
	slices.Sort(list)
	list = slices.Compact(list)
	if more := len(list) - maxErrors; more > 0 {
		list = append(list[:maxErrors], fmt.Sprintf("and %d more", more))
	}
	return clip(strings.Join(list, "; "), maxReason)
}

// leaves says each error below e that is not only about others.
func leaves(e *jsonschema.ValidationError) []string {
	at := place(e.InstanceLocation)
	var out []string
	say := func(where, format string, args ...any) {
		if where == "" {
			where = "the whole"
		}
		out = append(out, clip(where+" "+fmt.Sprintf(format, args...), maxError))
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range e.Causes {
			out = append(out, leaves(cause)...)
		}
	case *kind.AnyOf:
		say(at, "fits none of anyOf%s", choices(e.Causes))
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			say(at, "fits more than one of oneOf")
		} else {
			say(at, "fits none of oneOf%s", choices(e.Causes))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			say(at+"/"+escape(name), "is missing")
		}
	case *kind.DependentRequired:
		for _, name := range k.Missing {
			say(at+"/"+escape(name), "is missing, which %s needs", k.Prop)
		}
	case *kind.Dependency:
		for _, name := range k.Missing {
			say(at+"/"+escape(name), "is missing, which %s needs", k.Prop)
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			say(at+"/"+escape(name), "is not in the schema")
		}
	case *kind.PropertyNames:
		say(at+"/"+escape(k.Property), "has a name that is not allowed")
	default:
		say(at, "%s", rule(k))
	}
	return out
}

// choices tells the errors of each alternative.
func choices(causes []*jsonschema.ValidationError) string {
	var all []string
	for _, cause := range causes {
		list := leaves(cause)
		slices.Sort(list)
		all = append(all, strings.Join(list, ", "))
		if len(all) == maxErrors {
			break
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, " | ") + ")"
}

// rule says which rule of the schema a value breaks.
func rule(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, is %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return "must be one of " + strings.Join(quoted(k.Want), ", ")
	case *kind.Const:
		return "must be " + quoted([]any{k.Want})[0]
	case *kind.Format:
		return "must have the format " + k.Want
	case *kind.Pattern:
		return "must match " + k.Want
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members", k.Want)
	case *kind.UniqueItems:
		return "must not have an item twice"
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "is what `not` excludes"
	case *kind.RefCycle:
		return "cannot be checked: the schema refers to itself without end"
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return "breaks the rule " + path[0]
	}
	return "is not what the schema asks for"
}

func quoted(values []any) []string {
	var out []string
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte("?")
		}
		out = append(out, string(text))
	}
	return out
}

// place is a JSON pointer.
func place(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + escape(t))
	}
	return b.String()
}

func escape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// clip cuts a text to so many bytes, between two characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const dots = "..."
	cut := most - len(dots)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + dots
}
