package fence

import "strings"

// similar returns the candidate that name is most likely a misspelling of, ""
// if none is near: the same but for case, - and _, or up to a third of its
// letters away.
func similar(name string, candidates []string) string {
	fold := strings.NewReplacer("-", "", "_", "")
	best, found := max(1, len(name)/3)+1, ""
	for _, c := range candidates {
		if len(c) > 256 || len(name) > 256 {
			continue
		}
		d := distance(fold.Replace(strings.ToLower(name)), fold.Replace(strings.ToLower(c)))
		if d < best {
			best, found = d, c
		}
	}
	return found
}

// didYouMean is similar as the end of a sentence, "" if there is nothing to say.
func didYouMean(name string, candidates []string) string {
	if c := similar(name, candidates); c != "" {
		return "; did you mean " + c + "?"
	}
	return ""
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
