package daemon

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
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

// TestMailSaysWhoItIs: the mail server hears the name of this machine, unless smtp_helo_name says another.
func TestMailSaysWhoItIs(t *testing.T) {
	for helo, want := range map[string]string{"": hostName(), "lb.example.com": "lb.example.com"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		m := newMailer(slog.New(slog.DiscardHandler))
		m.send(&director.Global{Mail: director.Mail{To: []string{"a@example.com"}, From: "b@example.com", Server: l.Addr().String(), Helo: helo}}, "lb", "s", "b")
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("220 here\r\n")); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "EHLO "+want+"\r\n" {
			t.Errorf("it says %q (%v), want %q", line, err, want)
		}
		c.Close()
		l.Close()
		m.close(t.Context())
	}
}

func TestTheBeginningIsNoMail(t *testing.T) {
	for _, c := range []struct {
		n    vrrp.Notify
		want bool
	}{
		{vrrp.Notify{Event: vrrp.BecameBackup, From: vrrp.Init}, false},
		{vrrp.Notify{Event: vrrp.BecameBackup, From: vrrp.Fault}, true},
		{vrrp.Notify{Event: vrrp.BecameFault, From: vrrp.Init}, true},
	} {
		if got := worthMail(&director.Global{}, c.n); got != c.want {
			t.Errorf("%+v: %v", c.n, got)
		}
	}
}
