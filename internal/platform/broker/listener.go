package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// listener is the one that kfake accepts from. Clients of this process connect
// through pipes at once; foreign clients connect over TCP (and TLS) after open,
// each behind a [filter].
type listener struct {
	cfg        Config
	log        *slog.Logger
	m          metrics
	tcp        net.Listener // nil = no foreign clients
	advertised string

	conns  chan net.Conn
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	accept sync.WaitGroup
	slots  chan struct{} // a token for each foreign connection
	check  *batchCheck
}

// newListener binds the address, so that a busy one fails at once. It accepts
// foreign connections after open.
func newListener(cfg Config, m metrics) (*listener, error) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{
		cfg:        cfg,
		log:        cfg.Log,
		m:          m,
		advertised: cfg.Advertise,
		conns:      make(chan net.Conn),
		ctx:        ctx,
		cancel:     cancel,
		slots:      make(chan struct{}, cfg.Connections),
	}
	if cfg.Listen == "" {
		l.advertised = "embedded:9092"
		return l, nil
	}
	var err error
	if l.check, err = newBatchCheck(m); err != nil {
		cancel()
		return nil, err
	}
	if l.tcp, err = net.Listen("tcp", cfg.Listen); err != nil {
		cancel()
		return nil, fmt.Errorf("BELFRY_KAFKA_LISTEN: %w", err)
	}
	if l.advertised == "" {
		l.advertised = l.tcp.Addr().String()
	}
	return l, nil
}

// open accepts foreign connections from now on.
func (l *listener) open() {
	if l.tcp == nil {
		return
	}
	l.accept.Go(func() {
		for {
			conn, err := l.tcp.Accept()
			if err != nil {
				if l.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
					l.log.Warn("kafka listener", "error", err)
					continue // such as too many open files
				}
				return
			}
			select {
			case l.slots <- struct{}{}:
			default:
				l.m.closed.WithLabelValues("too_many").Inc()
				conn.Close()
				continue
			}
			l.m.connections.Inc()
			leave := func() {
				<-l.slots
				l.m.connections.Dec()
			}
			if l.cfg.TLS != nil {
				conn = tls.Server(conn, l.cfg.TLS)
			}
			g := newFilter(conn, l.cfg.RequestBytes, len(l.cfg.Users) > 0, leave, func(reason string) {
				l.m.closed.WithLabelValues("bad_request").Inc()
				l.log.Info("kafka connection closed", "client", conn.RemoteAddr().String(), "reason", reason)
			})
			g.check = l.check
			if !l.pass(l.ctx, g) {
				g.Close()
			}
		}
	})
}

// dial connects a client of this process, by a pipe.
func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if l.pass(ctx, theirs) {
		return ours, nil
	}
	ours.Close()
	theirs.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, net.ErrClosed
}

func (l *listener) pass(ctx context.Context, conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.ctx.Done():
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener for kfake.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Accept and the foreign listener; kfake closes the connections.
func (l *listener) Close() error {
	l.cancel()
	if l.tcp == nil {
		return nil
	}
	err := l.tcp.Close()
	l.accept.Wait()
	return err
}

// Addr implements net.Listener: the address that kfake advertises.
func (l *listener) Addr() net.Addr { return address(l.advertised) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
