package collect

import _ "embed"

// openAPI describes the native endpoint and Segment's. A test holds it against
// what they answer.
//
//go:embed openapi.json
var openAPI string
