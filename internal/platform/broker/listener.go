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

// door is the listener that kfake accepts from. Connections of this process
// come through it as pipes from the beginning; foreign ones over TCP (and TLS)
// only after open, each behind a [gate].
type door struct {
	cfg        Config
	log        *slog.Logger
	m          metrics
	tcp        net.Listener // nil = no foreign ones
	advertised string

	conns  chan net.Conn
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	accept sync.WaitGroup
	places chan struct{} // a token for each foreign connection
	check  *batchCheck
}

// newDoor binds the address, so that a busy one fails at once; nobody is let
// in before open.
func newDoor(cfg Config, m metrics) (*door, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &door{
		cfg:        cfg,
		log:        cfg.Log,
		m:          m,
		advertised: cfg.Advertise,
		conns:      make(chan net.Conn),
		ctx:        ctx,
		cancel:     cancel,
		places:     make(chan struct{}, cfg.Connections),
	}
	if cfg.Listen == "" {
		d.advertised = "embedded:9092"
		return d, nil
	}
	var err error
	if d.check, err = newBatchCheck(m); err != nil {
		cancel()
		return nil, err
	}
	if d.tcp, err = net.Listen("tcp", cfg.Listen); err != nil {
		cancel()
		return nil, fmt.Errorf("BELFRY_KAFKA_LISTEN: %w", err)
	}
	if d.advertised == "" {
		d.advertised = d.tcp.Addr().String()
	}
	return d, nil
}

// open begins to let foreign connections in.
func (d *door) open() {
	if d.tcp == nil {
		return
	}
	d.accept.Go(func() {
		for {
			conn, err := d.tcp.Accept()
			if err != nil {
				if d.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
					d.log.Warn("kafka door", "error", err)
					continue // such as too many open files
				}
				return
			}
			select {
			case d.places <- struct{}{}:
			default:
				d.m.closed.WithLabelValues("too_many").Inc()
				conn.Close()
				continue
			}
			d.m.connections.Inc()
			leave := func() {
				<-d.places
				d.m.connections.Dec()
			}
			if d.cfg.TLS != nil {
				conn = tls.Server(conn, d.cfg.TLS)
			}
			g := newGate(conn, d.cfg.RequestBytes, len(d.cfg.Users) > 0, leave, func(reason string) {
				d.m.closed.WithLabelValues("bad_request").Inc()
				d.log.Info("kafka connection closed", "client", conn.RemoteAddr().String(), "reason", reason)
			})
			g.check = d.check
			if !d.pass(d.ctx, g) {
				g.Close()
			}
		}
	})
}

// dial gives a client of this process its end of a pipe.
func (d *door) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if d.pass(ctx, theirs) {
		return ours, nil
	}
	ours.Close()
	theirs.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, net.ErrClosed
}

func (d *door) pass(ctx context.Context, conn net.Conn) bool {
	select {
	case d.conns <- conn:
		return true
	case <-d.ctx.Done():
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener for kfake.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.conns:
		return conn, nil
	case <-d.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends Accept and the foreign listener; kfake closes the connections.
func (d *door) Close() error {
	d.cancel()
	if d.tcp == nil {
		return nil
	}
	err := d.tcp.Close()
	d.accept.Wait()
	return err
}

// Addr implements net.Listener: what kfake tells its clients to connect to.
func (d *door) Addr() net.Addr { return address(d.advertised) }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
