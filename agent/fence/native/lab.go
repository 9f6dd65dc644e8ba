package native

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

// lab is fence_takt_lab: the power switch of a laboratory (takt lab), a unix
// socket that takes one request a line and answers each with one line:
//
//	off NODE, on NODE   ok
//	status NODE         on | off
//	list                the nodes, separated by blanks
//
// or "error WORDS".
func lab() *kind {
	return &kind{
		meta: describe("lab", "Switches the nodes of a laboratory (takt lab) off and on",
			"Talks to the power switch of a laboratory, as a fence agent of a real cluster talks to a switched power strip. It is of no use anywhere else.",
			[]string{fence.On, fence.Off, fence.Reboot, fence.Status, fence.List, fence.Monitor},
			fence.Parameter{Name: "socket", Type: "string", Default: "/run/lab/power.sock", ShortDesc: "the power switch's unix socket"}),
		run: runLab,
	}
}

func runLab(ctx context.Context, c call) (string, error) {
	s := powerSwitch(c.params["socket"])
	switch c.action {
	case fence.On, fence.Off:
		return "", s.turn(ctx, c.action, c.plug)
	case fence.Reboot:
		return "", s.reboot(ctx, c.plug)
	case fence.Status:
		return "", s.status(ctx, c.plug)
	case fence.ValidateAll:
		return "", nil
	}
	answer, err := s.ask(ctx, "list")
	if err != nil || c.action == fence.Monitor {
		return "", err
	}
	var out strings.Builder
	for _, node := range strings.Fields(answer) {
		out.WriteString(node + ",\n")
	}
	return out.String(), nil
}

// powerSwitch is the socket of one.
type powerSwitch string

func (s powerSwitch) turn(ctx context.Context, action, node string) error {
	answer, err := s.ask(ctx, action+" "+node)
	if err == nil && answer != "ok" {
		err = fmt.Errorf("the power switch %s answered %q to %s %s; it should be ok", string(s), answer, action, node)
	}
	return err
}

// reboot is off, seen to be off, then on.
func (s powerSwitch) reboot(ctx context.Context, node string) error {
	if err := s.turn(ctx, fence.Off, node); err != nil {
		return err
	}
	if err := s.status(ctx, node); !errors.Is(err, errOff) {
		return fmt.Errorf("the power switch %s claims to have switched %s off, but its status does not say so (%v)", string(s), node, err)
	}
	return s.turn(ctx, fence.On, node)
}

// status returns nil for on and errOff for off.
func (s powerSwitch) status(ctx context.Context, node string) error {
	switch answer, err := s.ask(ctx, "status "+node); {
	case err != nil:
		return err
	case answer == fence.Off:
		return errOff
	case answer != fence.On:
		return fmt.Errorf("the power switch %s answered %q when asked for the status of %s; it should be on or off", string(s), answer, node)
	}
	return nil
}

// longestAnswer of a power switch that is listened to, in bytes.
const longestAnswer = 1 << 20

// ask sends a request and returns the answer. It takes no longer than the switch does.
func (s powerSwitch) ask(ctx context.Context, request string) (string, error) {
	if strings.ContainsAny(request, "\r\n\x00") {
		return "", fmt.Errorf("%q: the name of a node is one word", request)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", string(s))
	if err != nil {
		return "", fmt.Errorf("the power switch cannot be reached: %w; is the laboratory up, and was it made with a power switch (takt lab up --fence)?", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // it can only be closed already
	defer stop()
	if _, err := io.WriteString(conn, request+"\n"); err != nil {
		return "", fmt.Errorf("the power switch %s does not take the request %q: %w", string(s), request, err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, longestAnswer)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the power switch %s does not answer %q: %w", string(s), request, err)
	}
	answer := strings.TrimSpace(line)
	if answer == "error" || strings.HasPrefix(answer, "error ") {
		return "", fmt.Errorf("the power switch %s refuses %q: %s", string(s), request, strings.TrimSpace(strings.TrimPrefix(answer, "error")))
	}
	return answer, nil
}
