package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

// kfake stores a batch without decoding it, and answers with success. No consumer
// could read a corrupt one. So the filter decodes the batches of foreign clients, and
// answers requests with corrupt ones itself.

// checkers limits how many batches are decoded at a time: each may take as much
// memory as the limit of bus.ErrTooLarge.
const checkers = 2

// batchCheck decodes batches before they are stored.
type batchCheck struct {
	decoder *bus.Decoder
	slots   chan struct{}
	refused func(reason string)
}

func newBatchCheck(m metrics) (*batchCheck, error) {
	decoder, err := bus.NewDecoder()
	refused := func(reason string) { m.batches.WithLabelValues(reason).Inc() }
	return &batchCheck{decoder: decoder, slots: make(chan struct{}, checkers), refused: refused}, err
}

// produce reads the rest of a Produce request after its head, and lets kfake read it
// or answers it. It returns an error if the connection must end.
func (g *filter) produce(version int16, left int) error {
	body := make([]byte, left)
	g.Conn.SetReadDeadline(time.Now().Add(inRequest))
	if _, err := io.ReadFull(g.Conn, body); err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(version)
	reader := kbin.Reader{Src: body}
	reader.NullableString() // the client's id
	if req.IsFlexible() {
		kmsg.SkipTags(&reader)
	}
	if err := errors.Join(reader.Complete(), req.ReadFrom(reader.Src)); err != nil {
		return g.no("a Produce request cannot be read: %v", err)
	}
	if g.sasl && !g.settle() { // nothing is decoded for a client before it has authenticated
		return io.ErrClosedPipe
	}
	resp := g.check.look(req)
	switch {
	case resp == nil:
		g.pass(body)
		if req.Acks != 0 {
			g.expect()
		}
		return nil
	case req.Acks == 0: // nothing is answered: as Apache Kafka does, the connection tells
		return g.no("a batch cannot be decoded, and its producer asks for no answer")
	}
	g.from = headSize // the request is not passed on
	return g.answer(int32(binary.BigEndian.Uint32(g.head[8:])), resp)
}

// look decodes the batches of a request. It gives the answer to a request with a
// batch that cannot be stored, else nil. The other batches of such a request are
// not stored either, and may be sent again.
func (c *batchCheck) look(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	bad := false
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition = p.Partition
			text := "another batch of the request cannot be decoded"
			rp.ErrorCode = kerr.NotEnoughReplicas.Code // a client sends it again
			if err := c.decoder.Check(p.Records); err != nil {
				bad = true
				text, rp.ErrorCode = fmt.Sprintf("the batch cannot be decoded: %v", err), kerr.CorruptMessage.Code
				reason := "corrupt"
				if errors.Is(err, bus.ErrTooLarge) {
					text = err.Error()
					rp.ErrorCode = kerr.MessageTooLarge.Code
					reason = "too_large"
				}
				c.refused(reason)
			}
			rp.ErrorMessage = &text
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if !bad {
		return nil
	}
	return resp
}

// expect counts a request that kfake will answer.
func (g *filter) expect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unanswered++
}

// answered counts an answer of kfake.
func (g *filter) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unanswered--
	g.settled.Broadcast()
}

// settle waits until kfake has answered all requests before; false if the connection
// was closed.
func (g *filter) settle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.unanswered > 0 && !g.closed {
		g.settled.Wait()
	}
	return !g.closed
}

// answer sends an answer of the filter, after those of the requests before.
func (g *filter) answer(correlation int32, resp kmsg.Response) error {
	if !g.settle() {
		return io.ErrClosedPipe
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(correlation))
	if resp.IsFlexible() {
		frame = append(frame, 0) // no tags
	}
	frame = resp.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	g.Conn.SetWriteDeadline(time.Now().Add(time.Minute))
	_, err := g.Conn.Write(frame)
	return err
}
