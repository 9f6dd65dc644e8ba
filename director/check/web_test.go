package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"syscall"
	"testing"
	"time"
)

// authority signs certificates for names into files NAME.pem and NAME.key, and itself into ca.pem.
func authority(t *testing.T, dir string, names ...string) {
	t.Helper()
	make := func(name string, serial int64, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if ca == nil {
			ca, caKey, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = c, key, true, true, x509.KeyUsageCertSign
		} else {
			c.DNSNames = []string{name}
		}
		raw, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file(t, dir, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
		file(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
		return c, key
	}
	ca, key := make("ca", 1, nil, nil)
	for i, name := range names {
		make(name, int64(i)+2, ca, key)
	}
}

const webConf = `
daemon off; master_process off; pid %[1]s/pid; error_log stderr; events { }
http {
  access_log off; client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
  server {
    listen 127.0.0.1:8080; listen [::1]:8080; listen 127.0.0.1:8443 ssl; server_name a.test;
    ssl_certificate %[1]s/a.test.pem; ssl_certificate_key %[1]s/a.test.key; root %[1]s/a;
    location /busy { return 503; }
    location /moved { return 302 /; }
    location /sni { return 200 "asked for $ssl_server_name."; }
  }
  server {
    listen 127.0.0.1:8080; listen [::1]:8080; listen 127.0.0.1:8443 ssl; server_name b.test;
    ssl_certificate %[1]s/b.test.pem; ssl_certificate_key %[1]s/b.test.key; root %[1]s/b;
    location /sni { return 200 "b was asked for $ssl_server_name."; }
  }
}
`

// webChecks are checks of that server, and what is wrong with it in their eyes while it serves; keepalived agrees (TestKeepalivedAgrees).
func webChecks(digest string) []verdict {
	return numbered(1, []verdict{
		{"127.0.0.1 8080: TCP_CHECK { }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path / } }", ""},
		{"::1 8080: HTTP_GET { url { path /; status_code 200 } }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path /; digest " + digest + " } }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path /; digest 0123456789abcdef0123456789abcdef } }", "/: the digest is " + digest},
		{"127.0.0.1 8080: HTTP_GET { url { path /busy } }", "/busy: status 503"},
		{"127.0.0.1 8080: HTTP_GET { url { path /busy; status_code 500-503 } }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path /; regex \"the page of .\" } }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path /; regex other } }", "regex \"other\": found: false"},
		{"127.0.0.1 8080: HTTP_GET { url { path /; regex other; regex_no_match } }", ""},
		{"127.0.0.1 8080: HTTP_GET { virtualhost b.test; http_protocol 1.1; url { path /; regex \"page of b\" } }", ""},
		{"127.0.0.1 8080: HTTP_GET { url { path /; virtualhost b.test; regex \"page of a\" } }", "found: false"},
		{"127.0.0.1 8080: HTTP_GET { url { path / }; url { path /none } }", "/none: status 404"},
		{"127.0.0.1 8080: HTTP_GET { url { path /moved; status_code 302 } }", ""},
		{"127.0.0.1 8443: SSL_GET { enable_sni; virtualhost a.test; url { path /sni; regex \"asked for a.test\" } }", ""},
		{"127.0.0.1 8443: SSL_GET { enable_sni; virtualhost b.test; url { path /sni; regex \"b was asked for b.test\" } }", ""},
		{"127.0.0.1 8443: SSL_GET { url { path /sni; regex \"asked for \\\\.\" } }", ""},
		{"127.0.0.1 8080: SSL_GET { url { path / } }", "does not look like a TLS handshake"},
		{"127.0.0.1 8443: HTTP_GET { url { path / } }", "status 400"},
	})
}

// verdict is a check, and part of the words with which it fails; "" if it does not.
type verdict struct{ check, words string }

func texts(list []verdict) (out []string) {
	for _, v := range list {
		out = append(out, v.check)
	}
	return out
}

func webServer(t *testing.T) (dir, digest string) {
	dir = t.TempDir()
	authority(t, dir, "a.test", "b.test")
	file(t, dir, "conf", fmt.Sprintf(webConf, dir))
	file(t, dir, "b/index.html", "the page of b\n")
	file(t, dir, "a/index.html", "the page of a\n")
	return dir, fmt.Sprintf("%x", md5.Sum([]byte("the page of a\n")))
}

// TestNginx: HTTP_GET, SSL_GET and TCP_CHECK beside a real web server, which then hangs, has another page, and ends.
func TestNginx(t *testing.T) {
	if !inside(t, "nginx") {
		return
	}
	dir, digest := webServer(t)
	checks := webChecks(digest)
	a := newAsked(t, "", texts(checks)...)
	signed := newAsked(t, "SSL {\n ca "+dir+"/ca.pem\n}", "1 127.0.0.1 8443: SSL_GET { enable_sni; virtualhost b.test; url { path / } }",
		"2 127.0.0.1 8443: SSL_GET { enable_sni; virtualhost c.test; url { path / } }")
	nginx := start(t, "nginx", "-p", dir, "-c", dir+"/conf")
	a.await(2)
	for i, c := range checks {
		a.expect("serving", uint16(i+1), c.words)
	}
	signed.expect("the certificate of its name", 1, "")
	signed.expect("the certificate of another name", 2, "certificate is valid for a.test, not c.test")
	nginx.signal(syscall.SIGSTOP)
	a.hangs(2, "no answer within 2s")
	a.expect("hanging", 1, "") // the kernel takes connections for it
	a.expect("hanging", 15, "no answer within 2s")
	nginx.signal(syscall.SIGCONT)
	file(t, dir, "a/index.html", "another page of a\n")
	a.expect("with another page", 2, "")
	a.expect("with another page", 4, fmt.Sprintf("the digest is %x", md5.Sum([]byte("another page of a\n"))))
	if err := os.Remove(dir + "/a/index.html"); err != nil {
		t.Fatal(err)
	}
	a.expect("without a page", 2, "/: status 403")
	nginx.kill()
	for _, port := range []uint16{1, 2, 3, 15} {
		a.expect("ended", port, "the connection is refused")
	}
}
