package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
)

// maxMails is how many messages may wait: when a mail server is gone, what happened first is told first, and the rest is in the log.
const maxMails = 1000

// mailer sends messages one after the other.
type mailer struct {
	log  *slog.Logger
	work sync.WaitGroup
	life context.Context
	end  context.CancelFunc

	mu   sync.Mutex
	line []message // guarded by mu
	busy bool      // guarded by mu
}

type message struct {
	how           director.Mail
	router        string
	subject, body string
	at            time.Time
}

func newMailer(log *slog.Logger) *mailer {
	m := &mailer{log: log}
	m.life, m.end = context.WithCancel(context.Background())
	return m
}

// send queues a message about a change.
func (m *mailer) send(g *director.Global, router, subject, body string) {
	if len(g.Mail.To) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.line) >= maxMails {
		m.log.Error("a mail is lost: too many wait for the mail server", "subject", subject, "server", g.Mail.Server)
		return
	}
	m.line = append(m.line, message{g.Mail, router, subject, body, time.Now()})
	if !m.busy {
		m.busy = true
		m.work.Go(m.follow)
	}
}

func (m *mailer) follow() {
	for {
		m.mu.Lock()
		if len(m.line) == 0 {
			m.busy = false
			m.mu.Unlock()
			return
		}
		next := m.line[0]
		m.line = m.line[1:]
		m.mu.Unlock()
		err := m.life.Err()
		if err == nil {
			err = next.deliver(m.life)
		}
		switch {
		case err != nil && m.life.Err() != nil:
			m.log.Error("a mail is not sent, for the director ends", "subject", next.subject, "server", next.how.Server, "words", strings.TrimSpace(next.body))
		case err != nil:
			m.log.Error("a mail could not be sent", "subject", next.subject, "server", next.how.Server, "error", err)
		}
	}
}

// close waits until all is sent, or ctx ends; what is not sent then is in the log.
func (m *mailer) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, m.end)
	m.work.Wait()
	stop()
	m.end()
}

// deliver speaks to the mail server (RFC 5321). Who may read the network may read the message: it holds no secret.
func (m *message) deliver(ctx context.Context) error {
	timeout := m.how.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	server := m.how.Server
	if server == "" {
		server = "127.0.0.1:25"
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	after := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer after()
	host, _, _ := net.SplitHostPort(server)
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	return m.say(c)
}

func (m *message) say(c *smtp.Client) error {
	if name := cmp.Or(m.how.Helo, hostName()); name != "" {
		if err := c.Hello(name); err != nil {
			return err
		}
	}
	if err := c.Mail(m.how.From); err != nil {
		return fmt.Errorf("from %s: %w", m.how.From, err)
	}
	for _, to := range m.how.To {
		if err := c.Rcpt(to); err != nil {
			return fmt.Errorf("to %s: %w", to, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(m.text()))
	return errors.Join(err, w.Close(), c.Quit())
}

// hostName is what this machine is called, "" if nobody knows.
func hostName() string {
	name, _ := os.Hostname()
	return name
}

// text is the message (RFC 5322), with the subject that keepalived's users know.
func (m *message) text() string {
	line := strings.NewReplacer("\r", " ", "\n", " ")
	return fmt.Sprintf("Date: %s\r\nFrom: %s\r\nSubject: [%s] %s\r\nX-Mailer: Takt\r\nTo: %s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		m.at.Format(time.RFC1123Z), line.Replace(m.how.From), line.Replace(m.router), line.Replace(m.subject), line.Replace(strings.Join(m.how.To, ", ")),
		strings.ReplaceAll(strings.TrimRight(m.body, "\n"), "\n", "\r\n"))
}
