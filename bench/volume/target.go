package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/volume/control"
)

// target is something with an NBD socket.
type target struct {
	name string
	uri  string
	// device is a block device that is measured instead of the socket.
	device string
	// processes serve it; their time and memory count.
	processes []*exec.Cmd
	controls  []*control.Client // of a volume's replicas
	words     bytes.Buffer      // what they said on standard error
}

// The targets by name.
const (
	reference = "nbdkit"
	plain     = "file" // behind the volume's NBD server
)

// startAll starts what there is; left says what there is not.
func startAll(ctx context.Context, o options) (targets []*target, left []string, stop func(), err error) {
	stop = func() {
		for _, t := range targets {
			t.stop()
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, stop, err
	}
	keep := func(t *target, err error) error {
		if t != nil {
			targets = append(targets, t)
		}
		return err
	}
	if _, missing := exec.LookPath("nbdkit"); missing != nil {
		left = append(left, "the reference: nbdkit is not installed")
	} else if err = keep(startServer(ctx, o, reference, "", "nbdkit", "-f", "-U", "SOCKET", "file", "FILE")); err != nil {
		return targets, left, stop, err
	}
	if o.plain {
		err = keep(startServer(ctx, o, plain, "plain", self, "serve", "SOCKET", "FILE", strconv.FormatInt(o.size, 10)))
	}
	for i, name := range []string{alone, mirror, mirrorTLS} {
		if err == nil {
			err = keep(startVolume(ctx, o, name, min(i+1, 2), name != mirrorTLS, "nbd"))
		}
	}
	if err == nil {
		t, failed := startVolume(ctx, o, device, 1, true, "fuse")
		if failed == nil {
			failed = t.awaitDevice(ctx)
		}
		if failed == nil {
			targets = append(targets, t)
		} else {
			t.stop()
			left = append(left, "FUSE + loop: "+failed.Error())
		}
	}
	for _, t := range targets {
		if err == nil {
			err = fill(ctx, o, t)
		}
	}
	return targets, left, stop, err
}

// fill writes noise everywhere, so that nobody gains by holes.
func fill(ctx context.Context, o options, t *target) error {
	_, err := fio(ctx, load{rw: "write", block: "1m", depth: 4}, o.size, 0, append(t.where(), "--refill_buffers")...)
	return err
}

// where are fio's arguments that name the target.
func (t *target) where() []string {
	if t.device != "" {
		return []string{"--ioengine=libaio", "--direct=1", "--filename=" + t.device}
	}
	return []string{"--ioengine=nbd", "--uri=" + t.uri}
}

// startServer makes a backing file and starts a server of it; SOCKET and FILE stand for
// their paths.
func startServer(ctx context.Context, o options, name, export string, args ...string) (*target, error) {
	file, socket := filepath.Join(o.dir, name+".img"), filepath.Join(o.dir, name+".sock")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, o.size)); err != nil {
		return nil, err
	}
	for i, a := range args {
		args[i] = strings.NewReplacer("SOCKET", socket, "FILE", file).Replace(a)
	}
	t := &target{name: name, uri: "nbd+unix:///" + export + "?socket=" + socket}
	if err := t.start(args); err != nil {
		return nil, err
	}
	if err := t.await(ctx, socket); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// start starts one process of the target.
func (t *target) start(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &t.words
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", t.name, err)
	}
	t.processes = append(t.processes, cmd)
	return nil
}

// await waits until the socket is there.
func (t *target) await(ctx context.Context, socket string) error {
	for end := time.Now().Add(2 * time.Minute); ; {
		if _, err := os.Stat(socket); err == nil {
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("%s does not get ready:\n%s", t.name, t.words.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (t *target) stop() {
	if t == nil {
		return
	}
	for _, p := range t.processes {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range t.processes {
		late := time.AfterFunc(10*time.Second, func() { _ = p.Process.Kill() })
		_ = p.Wait()
		late.Stop()
	}
}

// cpu is how many seconds of processor time the target has used.
func (t *target) cpu() float64 {
	var ticks float64
	for _, p := range t.processes {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if i := bytes.LastIndexByte(b, ')'); i >= 0 {
			f := strings.Fields(string(b[i+1:]))
			user, _ := strconv.ParseFloat(f[11], 64)
			system, _ := strconv.ParseFloat(f[12], 64)
			ticks += user + system
		}
	}
	return ticks / 100 // USER_HZ, which is 100 on all Linux architectures that Go has
}

// memory is the most that one process of the target held resident, but for the pages
// of files, in MB.
func (t *target) memory() float64 {
	most := 0.0
	for _, p := range t.processes {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
				most = max(most, kb/1024)
			}
		}
	}
	return most
}
