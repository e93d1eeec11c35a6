package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"syscall"

	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// fault explains why there is no answer.
func fault(ctx context.Context, err error) (delivery.Fault, string) {
	var blocked *blockedError
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var alert tls.AlertError
	var protocol textproto.ProtocolError
	text := err.Error()
	switch {
	case errors.As(err, &blocked):
		return delivery.Blocked, blocked.Error()
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return delivery.Timeout, "the receiver did not answer in time"
	case errors.As(err, &dns) && dns.IsNotFound:
		return delivery.NoName, "the name of the receiver does not resolve"
	case errors.As(err, &dns):
		return delivery.Temporary, "the name of the receiver could not be looked up"
	case errors.As(err, &certificate), errors.As(err, &authority):
		return delivery.BadTLS, "the receiver's certificate is not valid"
	case errors.Is(err, http.ErrSchemeMismatch):
		return delivery.BadTLS, "the receiver speaks plain HTTP at this port: write http:// in the URL, or another port"
	case errors.As(err, &record), errors.As(err, &alert), strings.Contains(text, "tls: "):
		return delivery.BadTLS, "the TLS handshake with the receiver failed"
	case strings.Contains(text, "server response headers exceeded"):
		return delivery.Temporary, fmt.Sprintf("the headers of the receiver's answer are longer than %d KiB", headerMost>>10)
	case strings.Contains(text, "Content-Length"):
		return delivery.Temporary, "the receiver's answer has more than one Content-Length, or one that is not a number"
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return delivery.BadTLS, "the receiver speaks TLS at this port: write https:// in the URL"
	case strings.Contains(text, `malformed HTTP response "SSH-`):
		return delivery.Temporary, "the receiver speaks SSH at this port, not HTTP"
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "malformed MIME header"),
		errors.As(err, &protocol):
		return delivery.Temporary, "the receiver does not speak HTTP at this port"
	case strings.Contains(text, "http2: "):
		return delivery.Temporary, "the receiver ended the HTTP/2 connection without an answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return delivery.Temporary, "the receiver closed the connection without an answer"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return delivery.Temporary, "the receiver reset the connection"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return delivery.Temporary, "the receiver does not take connections"
	}
	return delivery.Temporary, "the connection to the receiver broke off"
}
