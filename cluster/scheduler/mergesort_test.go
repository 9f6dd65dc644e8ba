package scheduler

import (
	"slices"
	"testing"
)

func TestMergeSort(t *testing.T) {
	equal := func(a, b string) int { return int(a[0]) - int(b[0]) }
	list := []string{"c1", "a1", "b1", "a2", "c2", "b2", "a3"}
	mergeSort(list, equal)
	if want := []string{"a1", "a2", "a3", "b1", "b2", "c1", "c2"}; !slices.Equal(list, want) {
		t.Errorf("sorted to %v, not %v", list, want)
	}
	// 0 before 1, 1 before 2, 2 before 0: the latter two are compared first.
	circle := []int{0, 2, 1}
	mergeSort(circle, func(a, b int) int {
		if (a+1)%3 == b {
			return -1
		}
		return 1
	})
	if want := []int{0, 1, 2}; !slices.Equal(circle, want) {
		t.Errorf("a circle is sorted to %v, not %v", circle, want)
	}
}
