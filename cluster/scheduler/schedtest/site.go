package schedtest

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// panicSite names the innermost place of our own code on the stack of a panic:
// the same bug gives the same words.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "/cluster/") && !strings.Contains(f.Function, "/schedtest.") {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
