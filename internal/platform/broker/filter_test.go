package broker_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// request is a head and a body of zeros; the length may lie.
func request(length uint32, key, version int16, body int) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(b, make([]byte, body)...)
}

func TestARequestThatIsTooLongOrUnknownIsRefusedAndTheBrokerLives(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", RequestBytes: 1 << 20, Topics: []bus.Topic{{Name: "a"}}})
	for name, frame := range map[string][]byte{
		"2 GB":                  request(1<<31-1, 0, 9, 0),
		"negative length":       request(0xfffffff0, 0, 9, 0),
		"one byte too long":     request(1<<20+1, 0, 9, 100),
		"shorter than a head":   request(4, 18, 0, 0),
		"unknown key":           request(10, 999, 0, 2),
		"negative key":          request(10, -1, 0, 2),
		"negative version":      request(10, 3, -1, 2),
		"version of the future": request(10, 3, 99, 2),
		"create topics":         request(100, 19, 5, 92),
		"delete records":        request(100, 21, 2, 92),
		"alter configs":         request(100, 44, 1, 92),
		"begin a transaction":   request(100, 24, 3, 92),
		"HTTP":                  []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(frame)
		if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) || isTimeout(err) {
			t.Errorf("%s: read %d, %v; want a closed connection", name, n, err)
		}
		conn.Close()
	}
	numbered(t, outside(b), "a", 0, 3)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestTooManyConnectionsAreClosed(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Connections: 2})
	var held []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(request(10, 18, 0, 2))
		if _, err := conn.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	ask := func() error {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(request(10, 18, 0, 2))
		_, err = conn.Read(make([]byte, 4))
		return err
	}
	if err := ask(); err == nil || isTimeout(err) {
		t.Fatalf("the third: %v", err)
	}
	held[0].Close()
	deadline := time.Now().Add(patience)
	for ask() != nil {
		if time.Now().After(deadline) {
			t.Fatal("a place was not given back")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTheDoorTakesNoAdministration(t *testing.T) {
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	cl, err := outside(b).Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	compact := "compact"
	if _, err := admin.CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": &compact}, "mine"); err == nil {
		t.Error("a topic was created")
	}
	if _, err := admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{
		Op:    kadm.SetConfig,
		Name:  "cleanup.policy",
		Value: &compact,
	}}, "a"); err == nil {
		t.Error("a topic was made compacted")
	}
	if _, err := admin.DeleteTopics(t.Context(), "a"); err == nil {
		t.Error("a topic was deleted")
	}
	if err := bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: "table", Compacted: true}); err == nil {
		t.Error("the broker itself made a compacted topic")
	}
	topics, err := admin.ListTopics(t.Context())
	if err != nil || len(topics) != 1 || len(topics["a"].Partitions) != 1 {
		t.Fatalf("%v %v", topics, err)
	}
}

func TestForeignClientsProduceAndConsume(t *testing.T) {
	kcat, err := exec.LookPath("kcat")
	if err != nil {
		t.Skip("kcat is not installed")
	}
	b := started(t, broker.Config{Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}}})
	produce := exec.CommandContext(t.Context(), kcat, "-b", b.Addr(), "-t", "a", "-P", "-K:", "-H", "ce_id=1", "-X",
		"enable.idempotence=true")
	produce.Stdin = strings.NewReader("k1:one\nk2:two\nk1:three\n")
	if out, err := produce.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := read(t, b.Cluster(), "a", 3); strings.Join(got, " ") != "one two three" {
		t.Fatal(got)
	}
	consume := exec.CommandContext(t.Context(), kcat, "-b", b.Addr(), "-C", "-t", "a", "-e", "-q", "-f", "%k=%s %h\n")
	out, err := consume.Output()
	if err != nil || string(out) != "k1=one ce_id=1\nk2=two ce_id=1\nk1=three ce_id=1\n" {
		t.Fatalf("%v: %q", err, out)
	}
	group := exec.CommandContext(t.Context(), kcat, "-b", b.Addr(), "-G", "foreign", "-X", "auto.offset.reset=earliest",
		"-c", "3", "-q", "-f", "%s\n", "a")
	if out, err := group.Output(); err != nil || string(out) != "one\ntwo\nthree\n" {
		t.Fatalf("group: %v: %q", err, out)
	}
}

func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{
		Certificate: [][]byte{der},
		PrivateKey:  key,
	}}}, &tls.Config{RootCAs: pool}
}

func TestUsersHaveTheRightsOfTheConfigurationAndNoOther(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	dir := t.TempDir()
	config := func(password string) broker.Config {
		return broker.Config{DataDir: dir, Listen: "127.0.0.1:0", TLS: server,
			Topics: []bus.Topic{{Name: "in.a"}, {Name: "out"}},
			Users: []broker.User{{
				Name:     "team",
				Password: password,
				Rights:   broker.Rights{Write: []string{"in.*"}, Read: []string{"out"}},
			}}}
	}
	b := started(t, config("first password"))
	as := func(user, password string) bus.Cluster {
		c := outside(b)
		c.TLS = client
		c.User = user
		c.Password = password
		return c
	}
	team := as("team", "first password")
	publish(t, team, "in.a", 1, 10)
	if err := try(t, team, "out", 1, 10, patience); errs.KindOf(err) != errs.Forbidden {
		t.Errorf("writing where it may only read: %v", err)
	}
	numbered(t, b.Cluster(), "out", 0, 2) // the process itself may everything
	if got := read(t, team, "out", 2); got[1] != "1" {
		t.Error(got)
	}
	// A client that is refused tries again until its time is over: they wait together.
	var waiting sync.WaitGroup
	for _, who := range []bus.Cluster{as("admin", "admin"), as("team", "wrong password"), as("", "")} {
		waiting.Go(func() {
			if err := try(t, who, "in.a", 1, 10, 2*time.Second); err == nil {
				t.Errorf("%q came in", who.User)
			}
		})
	}
	waiting.Wait()
	b.Close()
	b = started(t, config("second password"))
	if err := try(t, as("team", "first password"), "in.a", 1, 10, 2*time.Second); err == nil {
		t.Error("the old password is still good after a restart with another")
	}
	publish(t, as("team", "second password"), "in.a", 1, 10)
	if err := try(t, as("team", "second password"), "out", 1, 10, patience); errs.KindOf(err) != errs.Forbidden {
		t.Errorf("writing where it may only read, after a restart: %v", err)
	}
}

// FuzzGate: whatever comes in, what goes on is whole requests that are offered
// and not too long, byte for byte.
func FuzzGate(f *testing.F) {
	f.Add(append(request(10, 18, 0, 2), request(100, 3, 9, 92)...), 5)
	f.Add(request(1<<30, 0, 9, 0), 1)
	f.Add(request(8, 3, 1, 0), 100)
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		const limit = 1 << 10
		g := broker.NewFilter(script{bytes.NewReader(in)}, limit, false, func() {}, func(string) {})
		var out []byte
		buf := make([]byte, max(1, min(chunk, 4096)))
		for {
			n, err := g.Read(buf)
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatal("the bytes were changed")
		}
		for len(out) >= 12 {
			length := int(binary.BigEndian.Uint32(out))
			if length > limit || length < 8 {
				t.Fatalf("a request of %d bytes passed", length)
			}
			if key := binary.BigEndian.Uint16(out[4:]); key == 19 || key > 80 {
				t.Fatalf("key %d passed", key)
			}
			if 4+length > len(out) {
				return // the input ended in this request
			}
			out = out[4+length:]
		}
		if len(out) > 0 {
			t.Fatalf("%d bytes of an incomplete head passed", len(out))
		}
	})
}

// script is a connection that reads from bytes.
type script struct{ io.Reader }

func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return nil }
func (script) RemoteAddr() net.Addr             { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }
