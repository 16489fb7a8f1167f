package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/stream"
)

func TestWebsocket(t *testing.T) {
	ended := make(chan error, 1)
	e := &engine{
		ws: func(_ context.Context, _ *hub.ContainerAttachWebsocketParams, w http.ResponseWriter, r *http.Request) error {
			conn, err := stream.Websocket(w, r)
			if err != nil {
				return err
			}
			_, err = io.Copy(conn, conn)
			ended <- err
			return errors.Join(err, conn.Close())
		},
	}
	for _, test := range []struct {
		name, cors, origin string
		refused            bool
	}{
		{"no origin", "", "", false},
		{"own origin", "", "http://d", false},
		{"foreign origin", "", "http://evil.example", true},
		{"allowed origin", "http://ui.example", "http://ui.example", false},
		{"other origin than allowed", "http://ui.example", "http://evil.example", true},
		{"any origin allowed", "*", "http://ui.example", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := serve(t, e, api.Options{CORS: test.cors})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			options := &websocket.DialOptions{HTTPClient: d.http, HTTPHeader: http.Header{}}
			if test.origin != "" {
				options.HTTPHeader.Set("Origin", test.origin)
			}
			ws, response, err := websocket.Dial(ctx, "http://d/v1.20/containers/x/attach/ws?stream=1", options)
			if test.refused {
				if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
					t.Fatalf("%v %v", response, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			if response.Header.Get("Api-Version") != "1.23" {
				t.Error("the handshake has no Api-Version")
			}
			for _, message := range []struct {
				sent, back websocket.MessageType
				text       string
			}{
				{websocket.MessageText, websocket.MessageText, "text"},
				{websocket.MessageBinary, websocket.MessageText, "ünïcode"},
				{websocket.MessageBinary, websocket.MessageBinary, "\xff\x00"},
			} {
				if err := ws.Write(ctx, message.sent, []byte(message.text)); err != nil {
					t.Fatal(err)
				}
				kind, text, err := ws.Read(ctx)
				if err != nil || kind != message.back || string(text) != message.text {
					t.Errorf("%v %q %v, wanted %v %q", kind, text, err, message.back, message.text)
				}
			}
			if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("the client's orderly close is %v", err)
			}
		})
	}
}
