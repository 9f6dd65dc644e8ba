package daemon

import (
	"context"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// notifyReady tells the service manager that the volume can be spoken to (sd_notify(3)). Without one it does
// nothing.
func notifyReady() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("READY=1"))
	return err
}

// reloads adjusts the volume at each SIGHUP, until ctx ends.
func (d *Daemon) reloads(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-hup:
			if text, err := d.adjust(); err != nil {
				d.o.Log.Error("the changed configuration was not taken over", "error", err)
			} else {
				d.o.Log.Info("adjusted", "changes", text)
			}
		case <-ctx.Done():
			return
		}
	}
}
