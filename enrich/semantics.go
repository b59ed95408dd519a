package enrich

// Semantics returns, for each function as SQL names it, the number of its
// present meaning. The number is part of the code identity of every stage that
// calls the function: raise it by hand when an answer changes for any input
// (new data, new patterns, a fixed bug) and everything computed with it
// recomputes. The caller owns the map.
func Semantics() map[string]int {
	return map[string]int{
		"geo_country":   1,
		"ua_browser":    1,
		"ua_os":         1,
		"ua_device":     1,
		"ua_is_bot":     1,
		"url_host":      1,
		"url_path":      1,
		"url_param":     1,
		"referrer_host": 1,
	}
}
