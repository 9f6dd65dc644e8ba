package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
)

// TestEndDoesNotWaitForMail: a mail server that hangs holds the end up no longer than it may, and all that was to be said is in the log.
func TestEndDoesNotWaitForMail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var said bytes.Buffer
	m := newMailer(slog.New(slog.NewTextHandler(&said, nil)))
	g := &director.Global{Mail: director.Mail{To: []string{"a@example.com"}, From: "b@example.com", Server: l.Addr().String()}}
	for _, subject := range []string{"first", "second", "third"} {
		m.send(g, "lb", subject, "words of the "+subject+"\n")
	}
	c, err := l.Accept() // it greets nobody
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	over, end := context.WithCancel(context.Background())
	end()
	m.close(over)
	for _, subject := range []string{"first", "second", "third"} {
		if want := `msg="a mail is not sent, for the director ends" subject=` + subject + " server=" + l.Addr().String() + ` words="words of the ` + subject + `"`; !strings.Contains(said.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, said.String())
		}
	}
}
