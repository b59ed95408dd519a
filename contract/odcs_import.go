package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/reedbed/reedbed/internal/strictyaml"
)

// Imported is an Open Data Contract Standard document as a file of contracts/.
type Imported struct {
	Text []byte
	Name string
	// Left says what of the document is in no rule: it describes, and judges nothing.
	Left []Problem
}

// ImportODCS takes over a document of the standard, version 3. Every rule of it is
// taken over or is a problem, and a document with problems gives nil: a contract
// that asks for less than it says would be worse than none.
func ImportODCS(file string, text []byte) (*Imported, []Problem) {
	var doc value
	if err := strictyaml.Decode(text, &doc); err != nil {
		return nil, []Problem{unreadable(file, text, err)}
	}
	m := importer{reader: reader{file: file}, datasets: map[string]*[]field{}}
	document := m.document(field{Line: 1, Value: doc})
	if len(m.problems) > 0 {
		return nil, m.problems
	}
	f, problems := read(file, document)
	if f == nil {
		return nil, problems
	}
	return &Imported{Text: []byte(strictyaml.Write(document)), Name: f.Name, Left: m.left}, nil
}

// importer makes of a document of the standard one of ours, with the lines of the
// former, so that whatever is wrong is found by who reads the latter.
type importer struct {
	reader
	left     []Problem
	datasets map[string]*[]field // by name, what is said of each
	order    []string
}

// leave notes keys that describe, and judge nothing.
func (m *importer) leave(of string, known keys, names ...string) keys {
	for _, name := range names {
		known[name] = func(e field) {
			m.left = append(m.left, Problem{File: m.file, Line: e.Line, What: of + ": " + e.Name + " is left out: nothing is judged by it"})
		}
	}
	return known
}

func skip(field) {}

// said is an entry of ours at the place of one of theirs.
func said(name string, at field, v value) field {
	v.Line = max(v.Line, at.Line)
	return field{Name: name, Line: at.Line, Value: v}
}

func (m *importer) document(f field) value {
	var out []field
	var id field
	take := func(as string) func(field) {
		return func(e field) { out = append(out, said(as, e, e.Value)) }
	}
	m.each(f, "the document", m.leave("the document", keys{
		"apiVersion": m.version, "kind": m.kind, "version": skip, "status": skip,
		"id": func(e field) { id = e }, "name": take("name"),
		"team": func(e field) {
			if e.Value.Kind == strictyaml.List {
				m.bad(e.Line, "team: a list of people has no name", "write `team: {name: ...}`, as version 3.1 has it")
				return
			}
			m.each(e, "team", m.leave("team", keys{"name": take("owner")}, "description", "members", "tags", "customProperties", "authoritativeDefinitions", "id"))
		},
		"description": func(e field) {
			m.each(e, "description", m.leave("description", keys{"purpose": take("description")}, "usage", "limitations", "customProperties", "authoritativeDefinitions"))
		},
		"schema":           func(e field) { m.items(e, "schema", m.schema) },
		"slaProperties":    skip, // once the datasets are known
		"customProperties": func(e field) { m.custom(e, "the document", map[string]func(field){odcsConsumer: take("consumer")}) },
	}, "tenant", "tags", "servers", "dataProduct", "domain", "support", "price", "roles", "slaDefaultElement", "authoritativeDefinitions", "contractCreatedTs"))
	for _, e := range f.Value.Fields {
		if e.Name == "slaProperties" {
			m.items(e, e.Name, m.sla)
		}
	}
	if !has(out, "name") && id.Name != "" {
		out = append(out, said("name", id, id.Value))
	}
	var datasets []field
	for _, name := range m.order {
		terms := *m.datasets[name]
		datasets = append(datasets, field{Name: name, Line: terms[0].Line, Value: object(m.once(name, terms[1:])...)})
	}
	inOrder := []string{"name", "owner", "consumer", "description"}
	slices.SortStableFunc(out, func(a, b field) int { return slices.Index(inOrder, a.Name) - slices.Index(inOrder, b.Name) })
	return object(append(out, entry("datasets", object(datasets...)))...)
}

func has(fields []field, name string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.Name == name })
}

func (m *importer) version(e field) {
	if !strings.HasPrefix(e.Value.Text, "v3.") {
		m.bad(e.Line, fmt.Sprintf("apiVersion %s is not understood", e.Value.Text), "bring the document to "+ODCSVersion)
	}
}

func (m *importer) kind(e field) {
	if e.Value.Text != "DataContract" {
		m.bad(e.Line, fmt.Sprintf("a %s is no contract", e.Value.Text), "name a file of `kind: DataContract`")
	}
}

// items hands every item of a list to take.
func (m *importer) items(f field, of string, take func(field)) {
	if f.Value.Kind != strictyaml.List {
		m.bad(f.Line, of+" must be a list", "write `- ` before each")
		return
	}
	for _, item := range f.Value.List {
		take(field{Name: of, Line: max(item.Line, f.Line), Value: item})
	}
}

// custom takes the properties that are ours, and leaves those of others.
func (m *importer) custom(f field, of string, ours map[string]func(field)) {
	m.items(f, of+": customProperties", func(e field) {
		var name string
		var content field
		m.each(e, "customProperties", keys{
			"property": func(e field) { name = e.Value.Text }, "value": func(e field) { content = e }, "description": skip, "id": skip,
		})
		if take, own := ours[name]; own {
			take(content)
			return
		}
		m.left = append(m.left, Problem{File: m.file, Line: e.Line, What: of + ": the custom property " + name + " is left out: nothing is judged by it"})
	})
}

// find is an entry of a map, by name.
func find(f field, name string) (field, bool) {
	i := slices.IndexFunc(f.Value.Fields, func(e field) bool { return e.Name == name })
	if i < 0 {
		return field{}, false
	}
	return f.Value.Fields[i], true
}

// named is the name of a schema or property.
func (m *importer) named(f field, of string) string {
	e, ok := find(f, "name")
	if !ok {
		m.bad(f.Line, of+" has no name", "add `name: ...`")
		return ""
	}
	return m.text(e, "the name of "+of)
}

func (m *importer) schema(f field) {
	name := m.named(f, "a schema")
	if name == "" {
		return
	}
	if m.datasets[name] != nil {
		m.bad(f.Line, "the schema "+name+" is there twice", "put all about it in one")
		return
	}
	terms := []field{{Line: f.Line}} // the first has the place
	m.datasets[name], m.order = &terms, append(m.order, name)
	var columns []field
	m.each(f, name, m.leave(name, keys{
		"name": skip, "id": skip, "logicalType": skip, "physicalName": skip, "physicalType": skip,
		"properties": func(e field) {
			m.items(e, name+".properties", func(p field) { columns = append(columns, m.column(name, p)) })
		},
		"quality": func(e field) {
			m.items(e, name+".quality", func(q field) { m.quality(q, name, "", &terms) })
		},
		"relationships": func(e field) {
			m.bad(e.Line, name+": a relationship of a whole schema cannot be judged", "write it at the property: `relationships: [{to: DATASET.COLUMN}]`")
		},
		"customProperties": func(e field) {
			m.custom(e, name, map[string]func(field){odcsTolerate: func(e field) { terms = append(terms, said("tolerance", e, e.Value)) }})
		},
	}, "description", "businessName", "tags", "dataGranularityDescription", "authoritativeDefinitions"))
	if len(columns) > 0 {
		terms = slices.Insert(terms, 1, field{Name: "columns", Line: f.Line, Value: object(columns...)})
	}
}

func (m *importer) column(dataset string, f field) field {
	name := m.named(f, "a property of "+dataset)
	of := dataset + "." + name
	var out []field
	yes := func(as string) func(field) {
		return func(e field) {
			if m.yes(e, of+"."+e.Name) > 0 {
				out = append(out, said(as, e, digits("true")))
			}
		}
	}
	_, typed := find(f, "physicalType")
	known := m.leave(of, keys{
		"name": skip, "id": skip, "physicalName": skip,
		"logicalType": skip, "physicalType": func(e field) { out = append(out, said("type", e, e.Value)) },
		"required": yes("not_null"), "unique": yes("unique"),
		"logicalTypeOptions": func(e field) { m.options(e, of, &out) },
		"quality":            func(e field) { m.items(e, of+".quality", func(q field) { m.quality(q, dataset, name, &out) }) },
		"relationships":      func(e field) { m.items(e, of+".relationships", func(x field) { m.relationship(x, of, &out) }) },
	}, "description", "businessName", "tags", "classification", "encryptedName", "partitioned", "partitionKeyPosition", "primaryKeyPosition", "primaryKey",
		"transformSourceObjects", "transformLogic", "transformDescription", "examples", "criticalDataElement", "authoritativeDefinitions", "customProperties",
		"items", "properties")
	if !typed {
		m.leave(of, known, "logicalType")
	}
	m.each(f, of, known)
	return field{Name: name, Line: f.Line, Value: object(m.once(of, out)...)}
}

// once leaves out what is said twice, and refuses what is said in two ways.
func (m *importer) once(of string, fields []field) (out []field) {
	for _, f := range fields {
		i := slices.IndexFunc(out, func(o field) bool { return o.Name == f.Name })
		switch {
		case i < 0:
			out = append(out, f)
		case out[i].Value.JSON() != f.Value.JSON():
			m.bad(f.Line, of+" says in two ways what stands here as "+f.Name, "keep one of them")
		}
	}
	return out
}

func (m *importer) options(f field, of string, out *[]field) {
	refuse := func(e field) {
		m.bad(e.Line, fmt.Sprintf("%s: %s has no counterpart", of, e.Name), "write it as a rule: `quality: [{type: sql, query: ..., mustBe: 0}]`")
	}
	known := m.leave(of, keys{
		"minimum": func(e field) { *out = append(*out, said("min", e, e.Value)) },
		"maximum": func(e field) { *out = append(*out, said("max", e, e.Value)) },
		"pattern": func(e field) { *out = append(*out, m.pattern(e)) },
	}, "format", "timezone", "defaultTimezone")
	for _, name := range []string{
		"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required",
	} {
		known[name] = refuse
	}
	m.each(f, of+".logicalTypeOptions", known)
}

// pattern is a rule for all of a value, where theirs may be for a part.
func (m *importer) pattern(e field) field {
	inner, begins := strings.CutPrefix(e.Value.Text, wholePrefix)
	inner, ends := strings.CutSuffix(inner, wholeSuffix)
	if _, err := regexp.Compile(inner); begins && ends && err == nil {
		return said("matches", e, word(inner))
	}
	return said("matches", e, word("(?s:.*)(?:"+e.Value.Text+")(?s:.*)"))
}

func (m *importer) relationship(f field, of string, out *[]field) {
	var to field
	m.each(f, of+".relationships", m.leave(of, keys{
		"type": func(e field) {
			if e.Value.Text != "foreignKey" {
				m.bad(e.Line, of+": a relationship of type "+e.Value.Text+" has no counterpart", "write `type: foreignKey`")
			}
		},
		"to": func(e field) { to = e },
	}, "customProperties", "id"))
	dataset, column, ok := strings.Cut(to.Value.Text, ".")
	if !ok || strings.Contains(column, ".") || to.Value.Kind != strictyaml.Scalar {
		m.bad(f.Line, of+": a relationship leads to one column of a dataset", "write `to: DATASET.COLUMN`")
		return
	}
	*out = append(*out, said("relation", to, object(said("dataset", to, word(dataset)), said("column", to, word(column)))))
}

// sla takes how late and how complete data may be.
func (m *importer) sla(f field) {
	var name, unit, element string
	var content field
	m.each(f, "slaProperties", m.leave("slaProperties", keys{
		"property": func(e field) { name = e.Value.Text }, "value": func(e field) { content = e }, "unit": func(e field) { unit = e.Value.Text },
		"element": func(e field) { element = e.Value.Text }, "id": skip,
	}, "valueExt", "driver", "description", "scheduler", "schedule"))
	if name != slaLatency && name != slaComplete {
		m.left = append(m.left, Problem{File: m.file, Line: f.Line, What: "slaProperties: " + name + " is left out: nothing is judged by it"})
		return
	}
	terms := m.datasets[element]
	if element == "" && len(m.order) == 1 {
		terms = m.datasets[m.order[0]]
	}
	if terms == nil {
		m.bad(f.Line, fmt.Sprintf("slaProperties: %s is of %q, which is no schema here", name, element), "name one: `element: DATASET`")
		return
	}
	figure, err := strconv.ParseFloat(content.Value.Text, 64)
	if err != nil {
		m.bad(content.Line, "slaProperties: "+name+" must be a number", "write the unit under `unit`")
		return
	}
	if name == slaComplete {
		if unit != "percent" && unit != "%" {
			m.bad(f.Line, "slaProperties: completeness is a percentage", "write `unit: percent`")
			return
		}
		*terms = append(*terms, said("complete", f, object(said("min", content, word(content.Value.Text+"%")))))
		return
	}
	seconds := map[string]float64{"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}
	each, ok := seconds[unit]
	if !ok {
		each, ok = seconds[strings.TrimSuffix(unit, "s")]
	}
	if !ok {
		m.bad(f.Line, fmt.Sprintf("slaProperties: %q is no unit of time that is understood", unit), "write s, min, h or d; m could be months")
		return
	}
	*terms = append(*terms, said("fresh", f, word(strconv.FormatFloat(figure*each, 'f', -1, 64)+"s")))
}
