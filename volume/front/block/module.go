package block

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// Need makes sure that path is there, loading a module of the kernel if it is not. The error
// says in words what the machine lacks.
func Need(path, module, what string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	_ = exec.CommandContext(ctx, "modprobe", "-q", module).Run() // what matters is whether it is there then
	for range 50 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if _, err := os.Stat("/sys/module/" + module); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond) // udev makes the file
	}
	return fmt.Errorf("no %s: the kernel has no %s", path, what)
}
