package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// turnsPerEngine is how often each engine's turn comes in a throughput measurement.
const turnsPerEngine = 9

// requests: GET /_ping and the list of all containers, on 1 and on 8
// connections, in requests per second.
func requests(ctx context.Context, a *arena, r *report) error {
	for _, e := range a.engines {
		if err := e.fill(ctx, a.containers); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		name, path string
		part       int // of the number of requests in a slice
	}{
		{"GET /_ping", "/_ping", 5},
		{fmt.Sprintf("list of %d containers", a.containers), prefix + "/containers/json?all=1", 1},
	} {
		for _, connections := range []int{1, 8} {
			var names []string
			values := map[string][]float64{}
			for _, e := range a.engines {
				names = append(names, e.name)
			}
			for slice := range turnsPerEngine + 1 {
				for _, e := range a.engines {
					rate, err := e.rate(ctx, m.path, connections, a.options.requests*m.part)
					if err != nil {
						return err
					}
					if slice > 0 {
						values[e.name] = append(values[e.name], rate)
					}
				}
			}
			r.add(fmt.Sprintf("%s, %d connection(s)", m.name, connections), "/s", "more", names, values)
		}
	}
	return nil
}

// rate sends n requests over so many connections, each after the answer to the
// one before, and gives the requests per second.
func (e *engine) rate(ctx context.Context, path string, connections, n int) (float64, error) {
	var left atomic.Int64
	left.Store(int64(n))
	errs := make(chan error, connections)
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial("unix", e.daemon.Socket())
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	began := time.Now()
	for _, conn := range conns {
		go func() {
			r := bufio.NewReaderSize(conn, 1<<16)
			request := []byte("GET " + path + " HTTP/1.1\r\nHost: engine\r\n\r\n")
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				if err := ask(conn, r, request); err != nil {
					errs <- fmt.Errorf("%s: GET %s: %w", e.name, path, err)
					return
				}
			}
			errs <- ctx.Err()
		}()
	}
	var failed error
	for range conns {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return float64(n) / time.Since(began).Seconds(), failed
}

// ask sends a request and reads the answer to its end. It reads by hand,
// because client and engine share the processors: what the client needs is
// taken from the engine's rate.
func ask(conn net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %q", line)
	}
	length, chunked := int64(0), false
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		switch {
		case len(name) == 0:
			return body(r, length, chunked)
		case !ok:
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

// body reads the content of an answer (RFC 9112, section 7.1, for chunks
// without trailers).
func body(r *bufio.Reader, length int64, chunked bool) error {
	if !chunked {
		_, err := r.Discard(int(length))
		return err
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := r.Discard(int(size) + 2); err != nil { // and the line's end
			return err
		}
		if size == 0 {
			return nil
		}
	}
}
