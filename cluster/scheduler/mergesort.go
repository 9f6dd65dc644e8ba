package scheduler

// mergeSort sorts a list, and keeps the order of equals. Some comparisons of
// instances are not transitive: one instance comes before another for one
// reason, that one before a third for another reason, and the third before the
// first. Then the result is what the way of sorting makes of it, and this is the
// way in which Pacemaker's lists are sorted: halves, the first the smaller, merged.
func mergeSort[T any](list []T, compare func(a, b T) int) {
	if len(list) > 1 {
		mergeHalves(list, make([]T, 0, len(list)), compare)
	}
}

func mergeHalves[T any](list, space []T, compare func(a, b T) int) {
	if len(list) < 2 {
		return
	}
	a, b := list[:len(list)/2], list[len(list)/2:]
	mergeHalves(a, space, compare)
	mergeHalves(b, space, compare)
	merged := space[:0]
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	merged = append(append(merged, a...), b...)
	copy(list, merged)
}
