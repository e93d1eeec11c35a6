package dnswatch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// soa is the part of a SOA record (RFC 1035, 3.3.13) that the watch needs.
type soa struct {
	serial uint32
	expire time.Duration
}

// newer reports whether serial a is newer than b, in the arithmetic of RFC 1982.
func newer(a, b uint32) bool { return a != b && int32(a-b) > 0 }

// attempts is how often a question is sent: one packet of UDP may be lost.
const attempts = 2

// ask asks a server (host:port) for the SOA record of a zone, over UDP. The error is a
// clause for people.
func ask(ctx context.Context, zone, server string, patience time.Duration) (soa, error) {
	var found soa
	var err error
	for range attempts {
		if found, err = askOnce(ctx, zone, server, patience); err == nil || ctx.Err() != nil {
			break
		}
	}
	return found, err
}

func askOnce(ctx context.Context, zone, server string, patience time.Duration) (soa, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	name, err := dnsmessage.NewName(strings.TrimSuffix(zone, ".") + ".")
	if err != nil {
		return soa{}, fmt.Errorf("%s is not the name of a zone", zone)
	}
	var random [2]byte
	rand.Read(random[:]) // never fails
	id := binary.BigEndian.Uint16(random[:])
	question := dnsmessage.Question{Name: name, Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET}
	query, err := (&dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id},
		Questions: []dnsmessage.Question{question},
	}).Pack()
	if err != nil {
		return soa{}, err
	}

	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return soa{}, fmt.Errorf("the server cannot be reached: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // its error is that of the read
	defer stop()
	if _, err := conn.Write(query); err != nil {
		return soa{}, fmt.Errorf("the server cannot be reached: %w", err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		switch {
		case ctx.Err() != nil:
			return soa{}, fmt.Errorf("the server does not answer within %v", patience)
		case err != nil:
			return soa{}, fmt.Errorf("the server cannot be reached: %w", err)
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || m.ID != id || !m.Response {
			continue // not an answer to this question
		}
		return read(&m, name)
	}
}

var (
	errNoAuthority = errors.New("the server is not an authority of the zone")
	errNoRecord    = errors.New("the answer has no SOA record of the zone")
)

// read finds the SOA record of a zone in an answer.
func read(m *dnsmessage.Message, zone dnsmessage.Name) (soa, error) {
	switch {
	case m.RCode == dnsmessage.RCodeRefused:
		return soa{}, errors.New("the server refuses the question")
	case m.RCode != dnsmessage.RCodeSuccess:
		return soa{}, fmt.Errorf("the server answers %s", strings.TrimPrefix(m.RCode.String(), "RCode"))
	case !m.Authoritative:
		return soa{}, errNoAuthority
	}
	for _, r := range m.Answers {
		if body, ok := r.Body.(*dnsmessage.SOAResource); ok && strings.EqualFold(r.Header.Name.String(), zone.String()) {
			return soa{serial: body.Serial, expire: time.Duration(body.Expire) * time.Second}, nil
		}
	}
	return soa{}, errNoRecord
}
