package replica

import (
	"crypto/tls"
	"sync"
)

// bulk is a wire under TLS that makes few system calls: the records of one write go out at
// once, and as much as there is comes in at once. (crypto/tls itself writes and reads 16 KiB at a time.)
type bulk struct {
	*wire
	in       []byte // read, and not yet taken by TLS; of the one thread that reads
	room     []byte
	buffered bool // the handshake is over: records wait

	mu  sync.Mutex
	out []byte // records that wait for flush
}

// Read takes from what has come in.
func (b *bulk) Read(p []byte) (int, error) {
	if len(b.in) == 0 {
		n, err := b.wire.Read(b.room)
		if err != nil {
			return 0, err
		}
		b.in = b.room[:n]
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	return n, nil
}

// Write keeps a record for flush.
func (b *bulk) Write(p []byte) (int, error) {
	if !b.buffered {
		return b.wire.Write(p)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out = append(b.out, p...)
	return len(p), nil
}

// flush sends the records in their order.
func (b *bulk) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.wire.Write(b.out)
	b.out = b.out[:0]
	return err
}

// sealed is a stream under TLS.
type sealed struct {
	*tls.Conn
	bulk *bulk
}

// sealAtOnce is how much is encrypted before it is sent, in bytes: full records, few enough that they are still in the
// processor's cache, and that the peer decrypts the first ones of a long message while the next ones are encrypted.
const sealAtOnce = 8 * 16 << 10

// Write encrypts and sends p.
func (s *sealed) Write(p []byte) (done int, err error) {
	for done < len(p) && err == nil {
		var n int
		n, err = s.Conn.Write(p[done:min(len(p), done+sealAtOnce)])
		if done += n; err == nil {
			err = s.bulk.flush()
		}
	}
	return done, err
}

// came is wire.came.
func (s *sealed) came(n int) { s.bulk.came(n) }

// more says whether bytes have come in that are not decrypted yet.
func (s *sealed) more() bool { return len(s.bulk.in) > 0 }

// CloseWrite ends the own half of the stream under it.
func (s *sealed) CloseWrite() error { return s.bulk.CloseWrite() }

// Close closes the connection under it. TLS's own farewell would wait for a peer that does not read.
func (s *sealed) Close() error { return s.bulk.Close() }
