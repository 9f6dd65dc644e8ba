package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/takt-ha/takt/volume/front/fronttest"
	"github.com/takt-ha/takt/volume/front/nbd"
)

// serve shows a file on a socket until a signal, through the volume's own NBD server.
func serve(socket, file string, size int64) error {
	dev, err := fronttest.Open(file, size)
	if err != nil {
		return err
	}
	defer dev.Close()
	ln, err := nbd.Listen(socket)
	if err != nil {
		return err
	}
	s := nbd.New(dev, nbd.Config{Name: "plain", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() {
		<-stop.Done()
		bounded, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		_ = s.Close(bounded)
	}()
	return s.Serve(ln)
}
