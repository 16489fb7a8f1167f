package wire

import (
	"context"
	"crypto/rand"
	"crypto/sha1" // RFC 6455 asks for SHA-1
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// WebSocket opcodes of RFC 6455, section 5.2.
const (
	OpText   = 1
	OpBinary = 2
	OpClose  = 8
	OpPing   = 9
	OpPong   = 10
)

// WebSocket is the client's end of a WebSocket connection.
type WebSocket struct {
	stream *Stream
}

// OpenWebSocket sends the handshake. The stream is not nil when the server
// answered; the WebSocket is nil and err tells why when the answer was no
// acceptance as RFC 6455, section 4.1, asks for.
func OpenWebSocket(ctx context.Context, endpoint Endpoint, target string, timeout time.Duration) (*WebSocket, *Stream, *Exchange, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	stream, exchange, err := Open(ctx, endpoint, Request{
		Method: http.MethodGet, Target: target,
		Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Origin": {"http://docker"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {key},
		},
	}, timeout)
	if err != nil {
		return nil, nil, exchange, err
	}
	if stream.Status != http.StatusSwitchingProtocols {
		return nil, stream, exchange, fmt.Errorf("the handshake was answered with status %d", stream.Status)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455
	want := base64.StdEncoding.EncodeToString(sum[:])
	switch {
	case !strings.EqualFold(stream.Header.Get("Upgrade"), "websocket"):
		err = fmt.Errorf("the answer's Upgrade is %q, not websocket", stream.Header.Get("Upgrade"))
	case !strings.EqualFold(stream.Header.Get("Connection"), "Upgrade"):
		err = fmt.Errorf("the answer's Connection is %q, not Upgrade", stream.Header.Get("Connection"))
	case stream.Header.Get("Sec-WebSocket-Accept") != want:
		err = fmt.Errorf("the answer's Sec-WebSocket-Accept is %q, not %q", stream.Header.Get("Sec-WebSocket-Accept"), want)
	}
	if err != nil {
		return nil, stream, exchange, err
	}
	return &WebSocket{stream: stream}, stream, exchange, nil
}

// Send writes one masked frame.
func (w *WebSocket) Send(opcode byte, payload []byte) error {
	if len(payload) > 125 {
		return fmt.Errorf("a payload of %d bytes needs a longer header", len(payload))
	}
	mask := make([]byte, 4)
	_, _ = rand.Read(mask) // never fails
	frame := append([]byte{0x80 | opcode, 0x80 | byte(len(payload))}, mask...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	_, err := w.stream.Write(frame)
	return err
}

// Receive reads one frame. A server must not mask its frames (section 5.1).
func (w *WebSocket) Receive() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.stream, head[:]); err != nil {
		return 0, nil, err
	}
	if head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("the server masked a frame")
	}
	length := uint64(head[1] & 0x7f)
	switch length {
	case 126:
		var extended [2]byte
		if _, err := io.ReadFull(w.stream, extended[:]); err != nil {
			return 0, nil, fmt.Errorf("read a frame's length: %w", err)
		}
		length = uint64(binary.BigEndian.Uint16(extended[:]))
	case 127:
		var extended [8]byte
		if _, err := io.ReadFull(w.stream, extended[:]); err != nil {
			return 0, nil, fmt.Errorf("read a frame's length: %w", err)
		}
		length = binary.BigEndian.Uint64(extended[:])
	}
	if length > maxFrame {
		return 0, nil, fmt.Errorf("a frame announces %d bytes", length)
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(w.stream, payload); err != nil {
		return 0, nil, fmt.Errorf("read a frame of %d bytes: %w", length, err)
	}
	return head[0] & 0x0f, payload, nil
}
