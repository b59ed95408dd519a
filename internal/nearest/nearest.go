// Package nearest guesses which known word a misspelt one meant. It knows
// letters, and nothing of what the words are for.
package nearest

// Word returns the known word that takes the fewest edits to get to, the first
// of several; or "" when none is near: one edit in three letters. The word itself
// is no answer.
func Word(misspelt string, known []string) string {
	best, fewest := "", max(1, (len(misspelt)+1)/3)+1
	for _, k := range known {
		if d := Edits(misspelt, k); 0 < d && d < fewest {
			best, fewest = k, d
		}
	}
	return best
}

// Edits is the number of bytes to insert, remove, replace or swap with their
// neighbour to get from a to b (optimal string alignment).
func Edits(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
