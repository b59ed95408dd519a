// Package enrich knows the functions stages call to make more of an event:
// the country of an address, what a user agent says it is, the parts of a URL.
//
// Every function is pure: the same text gives the same answer for as long as
// its number in [Semantics] stays the same, whatever the machine, the hour or
// the calls before. Nothing here fails, blocks or grows with its input;
// whatever cannot be understood is answered with the zero value. The package
// never knows SQL, DuckDB, partitions or events.
package enrich
