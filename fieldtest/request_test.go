package fieldtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The forms of JSON that bodies are written in.
type (
	object = map[string]any
	list   = []any
)

// answer is what the engine said.
type answer struct {
	status int
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, bytes.TrimSpace(a.body)) }

// text is an error's message.
func (a answer) text() string { return strings.TrimSpace(string(a.body)) }

func request(method, path string, body io.Reader, contentType string) (answer, error) {
	req, err := http.NewRequest(method, "http://engine"+path, body)
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, data}, err
}

// requestJSON sends body as JSON, nothing if it is nil.
func requestJSON(method, path string, body any) (answer, error) {
	if body == nil {
		return request(method, path, nil, "")
	}
	data, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return request(method, path, bytes.NewReader(data), "application/json")
}
